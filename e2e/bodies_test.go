// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlverdict/mlverdict/internal/waf/waftest"
)

// What a client sends in a body is judged, however it is sent, and what passes reaches the application unchanged.
func TestBodies(t *testing.T) {
	tests := []struct {
		name    string
		body    func(t *testing.T, text string) (contentType string, body []byte)
		chunked bool // without a Content-Length
	}{
		{name: "form", body: form},
		{name: "JSON", body: jsonDocument},
		{name: "multipart", body: upload(1000)},
		{name: "form without a length", body: form, chunked: true},
		{name: "multipart without a length", body: upload(1000), chunked: true},
		{name: "1 MB", body: upload(1 << 20)},
		{name: "1 MB without a length", body: upload(1 << 20), chunked: true},
	}
	denying := start(t, directives(useModel(waftest.Model(t, 50))))
	vetoing := start(t, directives(useModel(waftest.Model(t, 51))))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, client *http.Client, _ string) {
				post := func(c *caddy, text string) (sent []byte, a answer) {
					contentType, body := tt.body(t, text)
					reader := io.Reader(bytes.NewReader(body))
					if tt.chunked {
						reader = io.MultiReader(reader) // hides the length
					}
					r := newRequest(t, http.MethodPost, c.url+"/comments", reader)
					r.Header.Set("Content-Type", contentType)
					return body, ask(t, client, r)
				}

				sent, harmless := post(denying, "I would like two of these.")
				assert.Equal(t, http.StatusOK, harmless.status)
				assert.True(t, string(sent) == harmless.body, "the body has changed on its way")

				_, attack := post(denying, injectionText)
				assert.Equal(t, http.StatusForbidden, attack.status)
				assert.Empty(t, attack.body)

				sent, cleared := post(vetoing, injectionText)
				assert.Equal(t, http.StatusOK, cleared.status)
				assert.True(t, string(sent) == cleared.body, "the body has changed on its way")
			})
		})
	}
}

func form(_ *testing.T, text string) (string, []byte) {
	return "application/x-www-form-urlencoded", []byte(url.Values{"name": {"Jo"}, "note": {text}}.Encode())
}

func jsonDocument(t *testing.T, text string) (string, []byte) {
	body, err := json.Marshal(map[string]any{"name": "Jo", "notes": []string{"hello", text}})
	require.NoError(t, err)
	return "application/json", body
}

// upload is a form with a file of some size. CRS does not look into files: at the speed of its rules a megabyte of
// text would take minutes.
func upload(size int) func(*testing.T, string) (string, []byte) {
	return func(t *testing.T, text string) (string, []byte) {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		require.NoError(t, w.WriteField("note", text))
		part, err := w.CreateFormFile("picture", "holiday.png")
		require.NoError(t, err)
		_, err = part.Write(bytes.Repeat([]byte("\x89PNG holiday \x00\xff"), size/16+1))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return w.FormDataContentType(), body.Bytes()
	}
}
