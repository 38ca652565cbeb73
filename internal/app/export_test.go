package app

// ParseListeners lets the tests feed the kernel's table.
var ParseListeners = parseListeners
