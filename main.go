// Command hoft carries HTTP calls between two networks joined only by a folder.
package main

import (
	"os"

	"github.com/hoft/hoft/cmd"
)

func main() {
	os.Exit(cmd.Main(os.Args[1:], os.Stdout, os.Stderr))
}
