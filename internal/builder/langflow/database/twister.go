package database

// twister is MT19937 as CPython seeds it (Matsumoto and Nishimura, mt19937ar.c). It is predictable,
// and exists only because old Langflow versions generated keys with it.
type twister struct {
	state [624]uint32
	index int
}

// newTwister is init_by_array.
func newTwister(key []uint32) *twister {
	const n = 624
	t := &twister{index: n}
	s := &t.state
	s[0] = 19650218
	for i := 1; i < n; i++ {
		s[i] = 1812433253*(s[i-1]^s[i-1]>>30) + uint32(i)
	}
	i, j := 1, 0
	for range max(n, len(key)) {
		s[i] = (s[i] ^ (s[i-1]^s[i-1]>>30)*1664525) + key[j] + uint32(j)
		if i++; i == n {
			s[0], i = s[n-1], 1
		}
		j = (j + 1) % len(key)
	}
	for range n - 1 {
		s[i] = (s[i] ^ (s[i-1]^s[i-1]>>30)*1566083941) - uint32(i)
		if i++; i == n {
			s[0], i = s[n-1], 1
		}
	}
	s[0] = 1 << 31
	return t
}

// next is genrand_uint32.
func (t *twister) next() uint32 {
	const n, m = 624, 397
	if t.index == n {
		for i := range n {
			y := t.state[i]&0x80000000 | t.state[(i+1)%n]&0x7fffffff
			t.state[i] = t.state[(i+m)%n] ^ y>>1
			if y&1 != 0 {
				t.state[i] ^= 0x9908b0df
			}
		}
		t.index = 0
	}
	y := t.state[t.index]
	t.index++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}
