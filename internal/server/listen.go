// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Time limits. There is none on writing a response: downloads and event streams take as long as they take.
const (
	headerTimeout = 10 * time.Second // a client must send its headers within it
	readTimeout   = time.Minute      // and its body within that
	idleTimeout   = 2 * time.Minute  // a connection without requests is closed
	grace         = 15 * time.Second // what requests have left to end when the server is told to
)

// Listen opens a TCP address such as "127.0.0.1:8080", ":8080" or "127.0.0.1:0" (any free port).
func Listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("server: address %s is taken by another program: stop it, or listen elsewhere", addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("server: not allowed to listen on %s: ports below 1024 need privileges", addr)
	case err != nil:
		return nil, fmt.Errorf("server: %w (want an address such as 127.0.0.1:8080)", err)
	}
	return ln, nil
}

// Serve answers on ln until ctx is done, then lets the requests that are under way end. It closes ln.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, errs *slog.Logger) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(errs.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("server: %w", err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := srv.Shutdown(ending); err != nil {
		srv.Close()
		return fmt.Errorf("server: requests were cut off after %v: %w", grace, err)
	}
	return nil
}
