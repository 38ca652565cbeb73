package identity

import "syscall"

// hashNice is the nice value of the hashing thread. At 15 it gets about 3 % of a core that is fully
// busy with traffic, so that sign-ins still progress, and all of an idle one.
const hashNice = 15

// lowerPriority lowers the calling thread: on Linux "process" 0 is the thread itself. Any user can
// lower a priority. If it is refused, only the speed of others changes.
func lowerPriority() { _ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, hashNice) }
