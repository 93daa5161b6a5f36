package image

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"borealis/internal/kernel/blob"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
	"borealis/internal/kernel/web/compat"
)

//go:embed migrations
var migrations embed.FS

// Limits of images.
const (
	// MaxFileBytes is the size of the largest picture that can be uploaded.
	MaxFileBytes = 1 << 20
	// Lifetime of an image.
	Lifetime = 30 * 24 * time.Hour
	// MaxLive is how many images an app may have at a time.
	MaxLive = 5000
)

// Deps is what the service stands on.
type Deps struct {
	DB    *db.DB
	Blobs *blob.Store
	Clock clock.Clock
	Log   *slog.Logger
	// PublicURL is the address under which devices reach this server, without a slash at its end, as far as a request
	// tells: "https://push.example.com".
	PublicURL func(*http.Request) string
	// MaxLive is for tests; 0: the constant.
	MaxLive int
}

// Service keeps images. It is safe for concurrent use.
type Service struct{ Deps }

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "push_image", migrations) }

// New returns the service. The tables of blob must have been migrated. Run deletes expired images.
func New(d Deps) *Service {
	if d.MaxLive == 0 {
		d.MaxLive = MaxLive
	}
	return &Service{d}
}

// mediaPrefix begins the id of an image; its kind, a dash and a UUID follow.
const mediaPrefix = "jgmedia-"

func newMediaID(k kind) string { return fmt.Sprintf("%s%d-%s", mediaPrefix, k, id.NewUUID()) }

// isMediaID tells media ids from the addresses and paths that stand in the same places.
func isMediaID(s string) bool {
	rest, ok := strings.CutPrefix(s, mediaPrefix)
	return ok && len(rest) > 2 && rest[1] == '-' && uuid.Validate(rest[2:]) == nil
}

// picturePath is where uploaded pictures are served; their id follows.
const picturePath = "/api/v1/images/"

// isPictureID reports whether s has the form of the id of an uploaded picture.
func isPictureID(s string) bool {
	return len(s) == id.KeyLen && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) < 0
}

// picture is what one vendor's channel shows.
type picture struct {
	vendor, url string
	// These are zero for a picture that was not uploaded.
	id, contentType string
	draft           *blob.Draft // until it is stored
}

func errUnknown() *compat.Error {
	return compat.Errorf(400, 1003, "there is no such image, or it has expired")
}

func (s *Service) errFull() *compat.Error {
	return compat.Errorf(http.StatusForbidden, 2005, "there are already %d images", s.MaxLive)
}

// URL is the address that a vendor's channel shows for an image: its own, or else that of a picture which was uploaded
// for another vendor, if it can show pictures of that kind. vendor is jiguang for our own channel, or xiaomi, huawei,
// honor, oppo, fcm, hmos. False: mediaID is not the id of a living image of the app, which a URL or a path is not
// either, or there is nothing for the vendor.
func (s *Service) URL(ctx context.Context, app int64, mediaID string, vendor string) (string, bool) {
	if !isMediaID(mediaID) {
		return "", false
	}
	k, pictures, err := s.find(ctx, app, mediaID)
	if err != nil {
		s.Log.Warn("image not found", "media_id", mediaID, "err", err)
		return "", false
	}
	for _, v := range vendors() {
		if v.name == vendor {
			return choose(v, k, pictures)
		}
	}
	return "", false
}

func choose(v vendor, k kind, pictures map[string]picture) (string, bool) {
	if own, ok := pictures[v.name]; ok {
		return own.url, true
	}
	for _, other := range vendors() {
		if p := pictures[other.name]; p.id != "" && v.shows.has(k) {
			return p.url, true
		}
	}
	return "", false
}

const (
	sweepEvery = 10 * time.Minute
	sweepRows  = 20
)

// Run deletes expired images until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.Log.Warn("expired images not deleted", "err", err)
			}
		}
	}
}

// Sweep does what Run does, once, and returns the number of images deleted.
func (s *Service) Sweep(ctx context.Context) (deleted int, err error) {
	for {
		n, err := s.deleteExpired(ctx)
		deleted += n
		if err != nil || n < sweepRows {
			return deleted, err
		}
	}
}
