package app

import (
	"fmt"
	"net/http"

	"borealis/internal/engine/device"
	"borealis/internal/service/push"
	"borealis/internal/service/webpush"
)

// OpenAPI is the document of the native API in YAML. It needs no running server: routes are only described.
func OpenAPI() ([]byte, error) {
	c := &core{devices: &device.Registry{}, push: &push.Service{}, webpush: &webpush.Service{}}
	api := c.mountNative(http.NewServeMux())
	doc, err := api.OpenAPI().YAML()
	if err != nil {
		return nil, fmt.Errorf("app: OpenAPI document: %w", err)
	}
	return doc, nil
}
