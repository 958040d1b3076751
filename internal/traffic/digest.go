// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"crypto/sha256"
	"encoding/binary"
)

// Digest identifies what a row says on the wire: SHA-256 over its method, URI, headers, body and payload, each with
// its length. Labels and notes do not count, so the same request in two sets has one digest.
func (r *Request) Digest() [sha256.Size]byte {
	h := sha256.New()
	add := func(text string) {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text))))
		h.Write([]byte(text))
	}
	add(r.Method)
	add(r.URI)
	add(string(r.Body))
	add(r.Payload)
	for _, header := range r.Headers {
		add(header[0])
		add(header[1])
	}
	return [sha256.Size]byte(h.Sum(nil))
}
