package pipe

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/hoft/hoft/pkg/frame"
)

// Scan lists the inbox and gives the peers' files for this site that are new, that changed, or that settled
// since the last scan, by peer and number. now must not run backwards. Per peer and scan at most ScanFiles
// files and ScanBytes bytes are given; what is left over comes with the next scan, which Hints asks for.
// A file reported once is not reported again until it changes, settles, or Again asks for it.
// Files found before an error are returned with it.
func (d *Dir) Scan(now time.Time) ([]File, error) {
	d.scanMu.Lock()
	defer d.scanMu.Unlock()
	began := time.Now()
	s := d.track.begin(now)
	whole, err := d.survey(s)
	files := s.end(whole)
	if f, err := d.outTop.get(false); err == nil {
		d.space.note(f)
	}
	d.notify.scanned(len(files) > 0)
	d.pace.scanned(len(files) > 0, s.more, time.Since(began))
	return files, err
}

func (d *Dir) survey(s *survey) (whole bool, err error) {
	f, err := d.inbox.get(false)
	if errors.Is(err, fs.ErrNotExist) && d.inbox.parent != nil {
		if _, err := d.inTop.get(false); err == nil {
			return true, nil // nothing for this site yet, or the mover took the folder away
		}
	}
	if err != nil {
		return false, d.folderError("open", d.inbox, err)
	}
	whole, err = f.list(func(base string) bool {
		if n, ok := d.sift(s, base); ok {
			d.look(s, f, base, n)
		}
		return !s.spent()
	})
	if err != nil {
		return false, d.folderError("list", d.inbox, err)
	}
	return whole, nil
}

// look describes a file to the survey where that is needed.
func (d *Dir) look(s *survey, f *folder, base string, n frame.Name) {
	switch s.known(n) {
	case stepSkip:
		return
	case stepDrop:
		if file, ok := d.track.pendingRemoval(n); ok {
			_ = d.drop(f, file)
		}
		return
	}
	fi, err := f.root.Lstat(base)
	switch {
	case errors.Is(err, fs.ErrNotExist): // taken between listing and look
	case err != nil:
		s.skip(SkipUnseen)
	case irregular(fi.Mode()) != "":
		s.skip(irregular(fi.Mode()))
	case fi.Size() > d.o.limit(n.Ext):
		s.skip(SkipTooLarge)
	default:
		s.see(n, markOf(fi), fi.ModTime())
	}
}

// Read gives the whole content as it is now, which may be more than the scan saw. The slice is the caller's.
// Errors: ErrGone, ErrChanged, ErrNotRegular, ErrTooLarge and others; after any a later scan reports the file again if it is
// (back) where it was: one that was moved away and back looks as before.
func (d *Dir) Read(file File) ([]byte, error) {
	data, err := d.read(file)
	if err == nil {
		return data, nil
	}
	d.Again(file)
	return nil, wrap("read", file.Name.String(), err)
}

func (d *Dir) read(file File) ([]byte, error) {
	open, size, err := d.openFound(file)
	if err != nil {
		return nil, err
	}
	defer open.Close()
	return readAll(open, size, d.o.limit(file.Name.Ext))
}

// openFound opens a file of the inbox with the guard of openRegular and gives its size in bytes.
func (d *Dir) openFound(file File) (open *os.File, size int64, err error) {
	if file.Name.Recipient != d.o.Self {
		return nil, 0, ErrForeign
	}
	f, err := d.inbox.get(false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, ErrGone
	}
	if err != nil {
		return nil, 0, err
	}
	return f.openRegular(d.o.base(file.Name))
}

// readAll reads to the end, expecting size bytes and accepting at most limit.
func readAll(r io.Reader, size, limit int64) ([]byte, error) {
	if size > limit {
		return nil, ErrTooLarge
	}
	// One byte more than expected, so that the usual file needs no growing to find its end.
	buf := make([]byte, 0, size+1)
	r = io.LimitReader(r, limit+1)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > limit {
			return nil, ErrTooLarge
		}
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return nil, err
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
	}
}

// Remove says that all effects of file are durable: it is taken out of the inbox, or with Options.Keep left
// and remembered. ErrChanged says that it was left because it is no longer what was reported. When removing
// fails, the file is not reported again, and removing is tried again each settle time.
func (d *Dir) Remove(file File) error {
	if file.Name.Recipient != d.o.Self {
		return wrap("remove", file.Name.String(), ErrForeign)
	}
	if d.o.Keep {
		d.keep(file)
		return nil
	}
	d.scanMu.Lock()
	defer d.scanMu.Unlock()
	f, err := d.inbox.get(false)
	if errors.Is(err, fs.ErrNotExist) {
		d.track.removed(file)
		return nil
	}
	if err != nil {
		d.track.stuck(file)
		return d.folderError("open", d.inbox, err)
	}
	if err := d.drop(f, file); err != nil {
		return wrap("remove", file.Name.String(), err)
	}
	return nil
}

// drop removes a file that still is what was reported. Called with scanMu held.
func (d *Dir) drop(f *folder, file File) error {
	base := d.o.base(file.Name)
	fi, err := f.lstatRegular(base)
	if err == nil && markOf(fi) != file.mark {
		d.track.set(file, statePending, 0)
		return ErrChanged
	}
	if err == nil {
		err = f.root.Remove(base)
	}
	if err == nil || errors.Is(err, ErrGone) || errors.Is(err, fs.ErrNotExist) {
		d.track.removed(file)
		return nil
	}
	d.track.stuck(file)
	return err
}

// Quarantine sets a settled file aside that holds nothing credible: data is copied out of the share, for a
// person to look at, bounded in number and bytes with the oldest dropped, and the file is removed (with
// Options.Keep it stays and is reported again only when it changes). When copying fails the file is left too.
func (d *Dir) Quarantine(file File, data []byte, reason string) error {
	if file.Name.Recipient != d.o.Self {
		return wrap("quarantine", file.Name.String(), ErrForeign)
	}
	now, _ := d.track.clock()
	if err := d.quarantine.add(now, d.o.base(file.Name), data, reason); err != nil {
		d.track.set(file, stateKept, 0)
		return wrap("quarantine", file.Name.String(), err)
	}
	d.quarantined.Add(1)
	if d.o.Keep {
		d.track.set(file, stateKept, 0)
		return nil
	}
	return d.Remove(file)
}
