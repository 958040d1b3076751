// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bufio"
	"context"
	"net"
	"net/http"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental"
	"github.com/corazawaf/coraza/v3/types"

	"github.com/mlverdict/mlverdict/internal/verdict"
)

// exchange is one request on its way: the connector writes its response into it, and through the request's context the
// observed WAF puts in the transaction and, at its end, the verdict.
type exchange struct {
	http.ResponseWriter
	tx      types.Transaction // nil before the connector has made it and after it has ended
	status  int               // of the response; 0 while there is none
	denied  bool              // Coraza denied the request: the response is still to be written
	verdict verdict.Verdict
}

type exchangeKey struct{}

// exchangeOf returns the exchange that a request belongs to.
func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// WriteHeader passes the status on, or keeps it where Coraza denies: the page that goes with it comes later.
func (x *exchange) WriteHeader(status int) {
	if x.status != 0 {
		return
	}
	x.status = status
	if x.denied = x.tx != nil && x.tx.IsInterrupted(); !x.denied {
		x.ResponseWriter.WriteHeader(status)
	}
}

func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	return x.ResponseWriter.Write(p)
}

// Flush and Hijack let streams and WebSockets through: the connector looks for them by name.
func (x *exchange) Flush() {
	_ = http.NewResponseController(x.ResponseWriter).Flush()
}

func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	x.status = http.StatusSwitchingProtocols // what its new owner writes is not seen here
	return http.NewResponseController(x.ResponseWriter).Hijack()
}

// observed is a WAF whose transactions tell their exchange what they decided.
type observed struct{ coraza.WAF }

var _ experimental.WAFWithOptions = observed{}

// NewTransactionWithOptions is what the connector calls, with the request's context.
func (w observed) NewTransactionWithOptions(o experimental.Options) types.Transaction {
	x := exchangeOf(o.Context)
	if waf, ok := w.WAF.(experimental.WAFWithOptions); ok {
		x.tx = waf.NewTransactionWithOptions(o)
	} else {
		x.tx = w.NewTransaction()
	}
	return observedTransaction{x.tx, x}
}

type observedTransaction struct {
	types.Transaction
	x *exchange
}

// ProcessLogging is the last call before the connector closes the transaction.
func (t observedTransaction) ProcessLogging() {
	t.Transaction.ProcessLogging()
	t.x.verdict, t.x.tx = verdict.Of(t.Transaction), nil
}
