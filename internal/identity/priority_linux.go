package identity

import "syscall"

// hashNice is the nice value of the hashing thread. At 15 it gets about 3 % of a core that is fully busy with traffic (so sign-ins still go on), and a whole idle one.
const hashNice = 15

// lowerPriority lowers the calling thread: on Linux "process" 0 is the thread itself. Any user may lower; a refusal changes only the speed of others.
func lowerPriority() { _ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, hashNice) }
