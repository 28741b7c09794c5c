package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/dataapi"
	"github.com/hoft/hoft/pkg/dataapi/bundle"
)

func newDataEncryptCmd() *cobra.Command {
	var out, mapOut string
	cmd := &cobra.Command{
		Use:   "encrypt [FILE] --out CHUNKS",
		Short: "Encrypt a file into chunks and a map, without any site",
		Long: `Encrypt a file, or standard input, as the Data API would: into a file of chunks, which tells nothing, and a map,
which opens it. The identifier of the map is printed. No site is needed, and none is asked.

Exit codes: 0 done; 1 a file cannot be read or written; 2 usage.`,
		Example: "  hoft data encrypt report.pdf --out report.chunks --map-out report.map\n" +
			"  hoft data decrypt report.chunks --map @report.map > report.pdf",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return withExit(exitUsage, errors.New("--out is missing: name a file for the chunks"))
			}
			return encrypt(cmd, args, out, mapOut)
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "`file` of chunks to write")
	cmd.Flags().StringVar(&mapOut, "map-out", "", "write the identifier into a `file` (0600) instead")
	return cmd
}

func encrypt(cmd *cobra.Command, args []string, out, mapOut string) error {
	in, size, err := dataFile(cmd, args)
	if err != nil {
		return err
	}
	defer in.Close()
	bar := dataBar(cmd, "encrypting", size)
	defer bar.Close()
	var m chunk.Map
	if err := writeWhole(out, func(w io.Writer) (err error) {
		m, err = bundle.Encrypt(&barReader{in, bar}, w)
		return err
	}); err != nil {
		return err
	}
	id, err := dataapi.FormatID(&m)
	if err != nil {
		return err
	}
	if mapOut != "" {
		return writeMap(mapOut, id)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), id)
	return err
}

func newDataDecryptCmd() *cobra.Command {
	var out, arg string
	cmd := &cobra.Command{
		Use:   "decrypt CHUNKS --map MAP",
		Short: "Decrypt a file of chunks by its map, without any site",
		Long: `Decrypt what hoft data encrypt wrote, to standard output or into a file. Everything is verified; a file appears
only when all of it is right.

Exit codes: 0 done; 1 chunks are missing or damaged, or a file cannot be read or written; 2 usage.`,
		Example: "  hoft data decrypt report.chunks --map @report.map --out report.pdf",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if arg == "" {
				return withExit(exitUsage, errors.New("--map is missing: name what encrypt printed"))
			}
			return decrypt(cmd, args[0], arg, out)
		},
	}
	cmd.Flags().StringVar(&arg, "map", "", "`MAP` that opens the chunks")
	cmd.Flags().StringVarP(&out, "out", "o", "", "`file` to write (default: standard output)")
	return cmd
}

func decrypt(cmd *cobra.Command, path, arg, out string) error {
	_, m, err := dataMap(cmd, arg)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	src, err := bundle.Open(f, info.Size())
	if err != nil {
		return err
	}
	bar := dataBar(cmd, "decrypting", m.Size())
	defer bar.Close()
	write := func(w io.Writer) error {
		return bundle.Decrypt(cmd.Context(), m, src, writerFunc(func(p []byte) (int, error) {
			n, err := w.Write(p)
			_ = bar.Add(n) // a bar that cannot be drawn is no reason to stop
			return n, err
		}))
	}
	if out == "" || out == "-" {
		return write(cmd.OutOrStdout())
	}
	return writeWhole(out, write)
}
