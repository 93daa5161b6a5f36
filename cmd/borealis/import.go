package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"borealis/internal/app"
	"borealis/internal/app/jpushimport"
	"borealis/internal/kernel/clock"
	"borealis/internal/service/push/relay/vendor"
)

// ImportCmd is `borealis import …`.
type ImportCmd struct {
	JPush  ImportJPushCmd  `cmd:"" name:"jpush" help:"Import the devices that an app has at Jiguang, from a file of registration ids."`
	Status ImportStatusCmd `cmd:"" help:"Show how many imported devices of an app have moved over."`
}

// ImportStatusCmd is `borealis import status`.
type ImportStatusCmd struct {
	adminFlags
	Key string `arg:"" help:"AppKey."`
}

// Run shows the numbers.
func (c *ImportStatusCmd) Run(ctx context.Context) error {
	var out app.AdminImportStatus
	if err := c.call(ctx, http.MethodGet, importPath(c.Key, ""), nil, &out); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(out)
	}
	_, err := fmt.Fprintf(os.Stdout, "imported\t%d\nclaimed or deleted\t%d\nunclaimed\t%d\n", out.Imported, out.Imported-out.Unclaimed, out.Unclaimed)
	return err
}

// ImportJPushCmd is `borealis import jpush`.
type ImportJPushCmd struct {
	adminFlags
	File   string `arg:"" help:"CSV with a header row (registration_id, platform, alias, tags separated by semicolons, mobile; all but the first may be missing) or a JSON object a line; - is the standard input."`
	AppKey string `required:"" help:"AppKey at Jiguang."`
	Secret string `env:"BOREALIS_JPUSH_SECRET" help:"Master secret at Jiguang; for --create, --fetch, --to and --jpush-url."`
	To     string `help:"AppKey of the app here, if it has another." placeholder:"KEY"`
	Create bool   `help:"Create the app with the same AppKey and master secret, unless it is there."`
	Name   string `help:"Name of the created app."`
	Fetch  bool   `help:"Ask Jiguang for the tags, alias and mobile number of each device: 600 devices a minute."`
	Update bool   `help:"Replace what is known of devices that were imported before and have not moved over."`
	Check  bool   `help:"Only read the file and say what is wrong with it."`

	JPushURL string             `name:"jpush-url" help:"Address of Jiguang's REST API, e.g. of the Beijing zone; also for pushes that are relayed." placeholder:"URL"`
	Rate     int                `default:"600" help:"Calls to Jiguang per minute, at most; its own limits are honoured besides."`
	Format   jpushimport.Format `default:"auto" enum:"auto,csv,jsonl" help:"auto, csv or jsonl."`
	State    string             `help:"File that remembers how far an import came; by default FILE.import." placeholder:"PATH"`
	Errors   int                `default:"20" help:"How many lines that are not imported are shown."`
}

// importPath is where an app is imported on the admin socket.
func importPath(key, what string) string { return "/import/apps/" + url.PathEscape(key) + what }

// Run imports the file.
func (c *ImportJPushCmd) Run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	in := os.Stdin
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	im, err := c.importer(in)
	if err != nil {
		return err
	}
	if !c.Check {
		if err := c.prepare(ctx); err != nil {
			return err
		}
	}
	counts, err := im.Run(ctx)
	if c.JSON {
		err = errors.Join(err, printJSON(counts))
	} else {
		fmt.Fprintln(os.Stderr)
		c.report(counts)
	}
	if err == nil && counts.Bad > 0 {
		err = fmt.Errorf("%d lines were not imported", counts.Bad)
	}
	if err != nil && im.State != nil && c.State != "" {
		if _, missing := os.Stat(c.State); missing == nil {
			err = fmt.Errorf("%w; the same command goes on where this one stopped (%s)", err, c.State)
		}
	}
	return err
}

func (c *ImportJPushCmd) report(n jpushimport.Counts) {
	if c.Check {
		fmt.Fprintf(os.Stdout, "good\t%d\nbad\t%d\n", n.Known, n.Bad)
		return
	}
	fmt.Fprintf(os.Stdout, "created\t%d\nupdated\t%d\nknown\t%d\nclaimed\t%d\ndeleted here\t%d\nbad\t%d\n", n.Created, n.Updated, n.Known, n.Claimed, n.Gone, n.Bad)
}

// check looks at the flags together.
func (c *ImportJPushCmd) check() error {
	if c.To == "" {
		c.To = c.AppKey
	}
	if c.Secret == "" {
		for name, needs := range map[string]bool{"--create": c.Create, "--fetch": c.Fetch} {
			if needs {
				return fmt.Errorf("%s needs --secret, or BOREALIS_JPUSH_SECRET in the environment", name)
			}
		}
	}
	if c.Create && c.To != c.AppKey {
		return errors.New("--create makes an app with the same AppKey, so it cannot be together with --to")
	}
	if c.Rate < 1 {
		return errors.New("--rate must be 1 at least")
	}
	if c.State == "" && c.File != "-" {
		c.State = c.File + ".import"
	}
	return nil
}

// prepare makes the app and tells the server with which account pushes are relayed.
func (c *ImportJPushCmd) prepare(ctx context.Context) error {
	if c.Create {
		var made app.AdminApp
		in := app.AdminImportApp{Name: c.Name, AppKey: c.AppKey, MasterSecret: c.Secret}
		if err := c.call(ctx, http.MethodPost, "/import/apps", in, &made); err != nil {
			return err
		}
	}
	if c.JPushURL == "" && c.To == c.AppKey {
		return nil // relayed with the app's own keys, to Jiguang itself
	}
	account := app.AdminVendorAccount{URL: c.JPushURL, AppKey: c.AppKey, MasterSecret: c.Secret}
	return c.call(ctx, http.MethodPut, importPath(c.To, "/vendor"), account, &struct{}{})
}

// importer puts the run together.
func (c *ImportJPushCmd) importer(in io.Reader) (*jpushimport.Importer, error) {
	head := make([]byte, 4096)
	n, err := io.ReadFull(in, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	reader, err := jpushimport.NewReader(io.MultiReader(bytes.NewReader(head[:n]), in), c.Format)
	if err != nil {
		return nil, err
	}
	shown := 0
	im := &jpushimport.Importer{Reader: reader, Bad: func(e *jpushimport.LineError) {
		if shown++; shown <= c.Errors {
			fmt.Fprintf(os.Stderr, "\r%s: %s\n", c.File, e)
		}
	}}
	if c.Check {
		return im, nil
	}
	im.Send = func(ctx context.Context, batch []jpushimport.Device) (jpushimport.Result, error) {
		var out jpushimport.Result
		err := c.call(ctx, http.MethodPost, importPath(c.To, "/devices"), app.AdminImportDevices{Update: c.Update, Devices: batch}, &out)
		return out, err
	}
	if !c.JSON {
		im.Progress = importProgress(clock.System{})
	}
	if c.Fetch {
		address := c.JPushURL
		if address == "" {
			address = vendor.DeviceURL
		}
		fetcher, err := jpushimport.NewFetcher(address, c.AppKey, c.Secret, c.Rate)
		if err != nil {
			return nil, err
		}
		im.Fetch = fetcher.Fetch
	}
	if c.State == "" {
		return im, nil
	}
	// The beginning of the file and what is done with it say whether a state belongs to this run.
	sum := sha256.Sum256([]byte(strings.Join([]string{c.AppKey, c.To, fmt.Sprint(c.Fetch, c.Update), string(head[:n])}, "\x00")))
	im.State, err = jpushimport.OpenState(c.State, hex.EncodeToString(sum[:]))
	return im, err
}

// importProgress shows the numbers once a second.
func importProgress(now clock.Clock) func(jpushimport.Counts) {
	var (
		start = now.Now()
		last  time.Time
		base  = -1
	)
	return func(n jpushimport.Counts) {
		if base < 0 {
			base = n.Devices()
		}
		at := now.Now()
		if at.Sub(last) < time.Second {
			return
		}
		last = at
		rate := float64(n.Devices()-base) / max(at.Sub(start).Seconds(), 1)
		fmt.Fprintf(os.Stderr, "\r%d lines, %d created, %.0f a second ", n.Devices(), n.Created, rate)
	}
}
