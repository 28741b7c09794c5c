package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/dataapi/client"
)

// getFlags are the flags of hoft data get.
type getFlags struct {
	dataFlags
	offset, length int64
	peer, out      string
}

func newDataGetCmd() *cobra.Command {
	f := &getFlags{}
	cmd := &cobra.Command{
		Use:   "get MAP",
		Short: "Read the data of a map",
		Long: `Read the data of a map, or a part of it, to standard output or into a file. What breaks off goes on where it
was; a file appears only when all of it is there.

Exit codes: 0 read; 1 not read, or not all of it; 2 usage or configuration; 12 the token cannot be read.`,
		Example: "  hoft data get @report.map --out report.pdf\n" +
			"  hoft data get @log.map --offset 1000000 --length 4096\n" +
			"  hoft data get @folder.map | tar x",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.add(cmd)
	cmd.Flags().Int64Var(&f.offset, "offset", 0, "first `byte` that is read")
	cmd.Flags().Int64Var(&f.length, "length", -1, "how many `bytes` are read (default: up to the end)")
	cmd.Flags().StringVar(&f.peer, "peer", "", "`site` that has what this one has not (default: any peer)")
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "`file` to write (default: standard output)")
	return cmd
}

func (f *getFlags) run(cmd *cobra.Command, arg string) error {
	if f.offset < 0 || f.length < 0 && cmd.Flags().Changed("length") {
		return withExit(exitUsage, errors.New("--offset and --length are counts of bytes"))
	}
	c, err := f.client(cmd)
	if err != nil {
		return err
	}
	id, _, err := dataMap(cmd, arg)
	if err != nil {
		return err
	}
	read := func(w io.Writer) error {
		var bar *progressbar.ProgressBar
		err := c.Get(cmd.Context(), id, client.Part{Off: f.offset, Len: f.length, Peer: f.peer}, writerFunc(func(p []byte) (int, error) {
			n, err := w.Write(p)
			_ = bar.Add(n) // a bar that cannot be drawn is no reason to stop
			return n, err
		}), func(size int64) { bar = dataBar(cmd, "reading", size) })
		if bar != nil {
			_ = bar.Close()
		}
		return err
	}
	if f.out == "" || f.out == "-" {
		return read(cmd.OutOrStdout())
	}
	return writeWhole(f.out, read)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// writeWhole writes a file that appears, or is replaced, only when all of it is there.
func writeWhole(path string, fill func(io.Writer) error) (err error) {
	t, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = t.Close() // the first error says more
			_ = os.Remove(t.Name())
		}
	}()
	if err := fill(t); err != nil {
		return err
	}
	if err := t.Close(); err != nil {
		return err
	}
	return os.Rename(t.Name(), path)
}

// writeMap writes an identifier for its owner alone.
func writeMap(path, id string) error {
	return writeWhole(path, func(w io.Writer) error { // made with mode 0600
		_, err := fmt.Fprintln(w, id)
		return err
	})
}
