package image

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"borealis/internal/kernel/blob"
	"borealis/internal/kernel/db"
)

type pictureInput struct {
	ID string `path:"id" doc:"From the address of the picture."`
}

// Routes adds the address of uploaded pictures to the native API. It needs no credentials: devices and the servers of
// vendors read from it.
func (s *Service) Routes(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "read-picture", Method: http.MethodGet, Path: picturePath + "{id}", Tags: []string{"Push"},
		Summary: "Read a picture that was uploaded for notifications", Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable},
		Responses: map[string]*huma.Response{"200": {
			Description: "The picture. It never changes.",
			Content:     map[string]*huma.MediaType{"image/jpeg": {}, "image/png": {}},
		}},
	}, s.read)
}

// cacheControl lets whoever got a picture keep it as long as it can live here: another picture has another address.
const cacheControl = "public, max-age=2592000, immutable"

func (s *Service) read(ctx context.Context, in *pictureInput) (*huma.StreamResponse, error) {
	missing := huma.Error404NotFound("there is no such picture, or it has expired")
	if !isPictureID(in.ID) {
		return nil, missing
	}
	content, contentType, err := s.openPicture(ctx, in.ID)
	switch {
	case errors.Is(err, db.ErrNoRows), errors.Is(err, blob.ErrNotFound): // the latter: replaced just now
		return nil, missing
	case err != nil:
		s.Log.Warn("picture not read", "err", err)
		return nil, huma.Error503ServiceUnavailable("not read, try again")
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer func() { _ = content.Close() }()
		ctx.SetHeader("Content-Type", contentType)
		ctx.SetHeader("Content-Length", strconv.FormatInt(content.Info().Size, 10))
		ctx.SetHeader("Cache-Control", cacheControl)
		ctx.SetHeader("X-Content-Type-Options", "nosniff")
		// Opened as a page of its own, it can do nothing in the name of this site.
		ctx.SetHeader("Content-Security-Policy", "default-src 'none'; sandbox")
		ctx.SetStatus(http.StatusOK)
		// An answer that ends early is shorter than it said, which tells the reader.
		if _, err := io.Copy(ctx.BodyWriter(), content); err != nil && ctx.Context().Err() == nil {
			s.Log.Warn("picture not sent to the end", "err", err)
		}
	}}, nil
}

func (s *Service) openPicture(ctx context.Context, pictureID string) (content *blob.Reader, contentType string, err error) {
	blobID, contentType, err := s.uploaded(ctx, pictureID)
	if err != nil {
		return nil, "", err
	}
	content, err = s.Blobs.Open(ctx, blobID)
	return content, contentType, err
}
