// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"errors"
	"fmt"
	"strings"

	"github.com/corazawaf/coraza/v3/types"
)

// Client is the address that replayed requests come from.
const Client = "127.0.0.1"

// Replay drives a fresh transaction through phases 1 and 2 as Coraza's net/http connector does, HTTP/1.1 from
// [Client], and returns what interrupted it, nil if nothing did. Headers go in as they were recorded, even where
// Content-Length is not the body's. Logging (phase 5) and closing the transaction are left to the caller.
func (r *Request) Replay(tx types.Transaction) (*types.Interruption, error) {
	if r.IsPayload() {
		return nil, errors.New("traffic: a payload row has no request to replay")
	}
	tx.ProcessConnection(Client, 0, "", 0)
	tx.ProcessURI(r.URI, r.Method, "HTTP/1.1")
	for _, h := range r.Headers {
		tx.AddRequestHeader(h[0], h[1])
		if strings.EqualFold(h[0], "host") {
			tx.SetServerName(h[1])
		}
	}
	if in := tx.ProcessRequestHeaders(); in != nil {
		return in, nil
	}
	if len(r.Body) > 0 && tx.IsRequestBodyAccessible() {
		if in, _, err := tx.WriteRequestBody(r.Body); err != nil {
			return nil, fmt.Errorf("traffic: request body: %w", err)
		} else if in != nil {
			return in, nil
		}
	}
	in, err := tx.ProcessRequestBody()
	if err != nil {
		return nil, fmt.Errorf("traffic: request body: %w", err)
	}
	return in, nil
}
