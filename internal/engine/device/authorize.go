package device

import (
	"context"
	"net/http"

	"borealis/internal/engine/gate"
)

// Authorize is Authenticate for handlers of other packages in the device API: the error is an RFC 9457 document.
func (r *Registry) Authorize(ctx context.Context, req *http.Request) (*gate.App, uint32, error) {
	app, ordinal, err := r.Authenticate(ctx, req)
	return app, ordinal, r.problem(err)
}
