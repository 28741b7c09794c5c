// Package prealloc asks a file system for blocks before they are written: it then has less to do for each of them, and they lie
// together. That is a hint: the file gets no longer by it, not every file system can, and where the disk is full the write says so.
package prealloc

// least is the length in bytes from which on asking is worth a call of the system.
const least = 256 << 10
