package push

import (
	"context"
	"net/http"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"borealis/internal/engine/gate"
)

// DeviceAuth finds the device that makes a request; its error is a problem document.
type DeviceAuth func(context.Context, *http.Request) (*gate.App, uint32, error)

type eventsInput struct {
	http    *http.Request
	RawBody []byte
	Body    struct {
		_      struct{}      `json:"-" additionalProperties:"true"`
		Events []DeviceEvent `json:"events" minItems:"1" maxItems:"100"`
	}
}

// Resolve is part of huma.Resolver: the handler authenticates with the raw request.
func (in *eventsInput) Resolve(ctx huma.Context) []error {
	in.http, _ = humago.Unwrap(ctx)
	return nil
}

// Routes adds the part of the device API that concerns messages. api must be made by humago.
func (s *Service) Routes(api huma.API, auth DeviceAuth) {
	s.images.Routes(api)
	huma.Register(api, huma.Operation{
		OperationID: "report-device-events", Method: http.MethodPost, Path: "/device/v1/events", Tags: []string{"Devices"},
		Summary: "Report what happened to messages on the device", DefaultStatus: http.StatusNoContent, MaxBodyBytes: 64 << 10,
		Errors:   []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
		Security: []map[string][]string{{"device": {}}},
	}, func(ctx context.Context, in *eventsInput) (*struct{}, error) {
		app, ordinal, err := auth(ctx, in.http)
		if err != nil {
			return nil, err
		}
		if !utf8.Valid(in.RawBody) {
			return nil, huma.Error422UnprocessableEntity("body is not valid UTF-8")
		}
		if err := s.Report(ctx, app.ID, ordinal, in.Body.Events); err != nil {
			s.log.Warn("events not recorded", "err", err)
			return nil, huma.Error503ServiceUnavailable("not recorded, try again")
		}
		return nil, nil
	})
}

// AppRoutes adds the part of the native API that apps call. app finds the one that makes a call the middlewares let
// through.
func (s *Service) AppRoutes(api huma.API, app func(context.Context) *gate.App, middlewares huma.Middlewares) {
	s.callbacks.Routes(api, middlewares[0], app)
	s.segments.Routes(api, app, middlewares)
	s.schedules.Routes(api, middlewares, app)
	s.templates.Routes(api, app, middlewares)
}
