package httpproblem

import (
	"bytes"
	"log"

	"github.com/rs/zerolog"
)

// ErrorLog is for http.Server's ErrorLog: broken handshakes and malformed requests, which clients can cause at will, are
// logged at debug, panics, which nobody should see, as errors. net/http quotes no request line there.
func ErrorLog(to zerolog.Logger) *log.Logger { return log.New(errorWriter{to}, "", 0) }

type errorWriter struct{ to zerolog.Logger }

func (w errorWriter) Write(p []byte) (int, error) {
	level := zerolog.DebugLevel
	if bytes.HasPrefix(p, []byte("http: panic")) {
		level = zerolog.ErrorLevel
	}
	w.to.WithLevel(level).Bytes("err", bytes.TrimSpace(p)).Msg("http server")
	return len(p), nil
}
