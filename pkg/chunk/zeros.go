package chunk

import "fmt"

// zeros writes n zero bytes, none for n below one. Of a long gap one chunk of zeros is sealed and its line is repeated, so
// a gap costs next to nothing whatever its length; the cuts are those that the bytes would get.
func (w *Writer) zeros(n int64) error {
	if n > MaxSize-w.total {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, int64(MaxSize))
	}
	if n <= 0 {
		return nil
	}
	block := memory.get(classOf(MaxChunk))[:MaxChunk]
	defer memory.put(block)
	clear(block)
	c := cutter{g: w.cut.g}
	whole := int64(c.scan(block)) // the length of a chunk of zeros
	for begin := w.total; n > 0; {
		if len(w.buf) == 0 && n >= 2*whole {
			if err := w.repeat(block[:whole], n/whole); err != nil {
				return err
			}
			n %= whole
			continue
		}
		k := min(n, whole)
		if cut := w.total - int64(len(w.buf)); cut >= begin { // what waits are zeros alone: make a whole chunk of them
			k = min(n, whole-int64(len(w.buf)))
		}
		if _, err := w.Write(block[:k]); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// repeat goes on with one chunk count times, between two cuts.
func (w *Writer) repeat(plain []byte, count int64) error {
	if err := w.drain(); err != nil {
		return err
	}
	sealed := w.s.Seal(make([]byte, 0, len(plain)+Overhead), plain, w.o.Compress)
	w.total += count * int64(len(plain))
	w.chunked = true
	if err := w.nodes.add(sealed); err != nil {
		return err
	}
	return w.nodes.repeat(sealed.Entry, count-1)
}
