package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"borealis/internal/app"
	"borealis/internal/engine/channel/webpush"
	"borealis/internal/engine/channel/wire"
)

// ChannelCmd is `borealis channel …`.
type ChannelCmd struct {
	List   ChannelListCmd   `cmd:"" help:"List what an app has at vendors."`
	Set    ChannelSetCmd    `cmd:"" help:"Keep the credentials of an app at a vendor."`
	Remove ChannelRemoveCmd `cmd:"" help:"Forget the credentials of an app at a vendor."`
	Test   ChannelTestCmd   `cmd:"" help:"Ask a vendor whether it takes the credentials of an app."`
	Keys   ChannelKeysCmd   `cmd:"" help:"Make a key pair for Web Push and print it in the form that set takes."`
}

// channelFlags name a channel of an app.
type channelFlags struct {
	adminFlags
	Key     string `arg:"" help:"AppKey."`
	Channel string `arg:"" enum:"apns,fcm,huawei,hmos,honor,xiaomi,oppo,vivo,meizu,webpush,sms" help:"One of apns, fcm, huawei, hmos, honor, xiaomi, oppo, vivo, meizu, webpush, sms."`
}

func (c *channelFlags) path() string {
	return "/apps/" + url.PathEscape(c.Key) + "/channels/" + c.Channel
}

// ChannelListCmd is `borealis channel list`.
type ChannelListCmd struct {
	adminFlags
	Key string `arg:"" help:"AppKey."`
}

// Run lists the channels.
func (c *ChannelListCmd) Run(ctx context.Context) error {
	out := []app.AdminChannel{}
	if err := c.call(ctx, http.MethodGet, "/apps/"+url.PathEscape(c.Key)+"/channels", nil, &out); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(out)
	}
	return printChannels(os.Stdout, out)
}

// printChannels prints a table, and below it what is long: addresses for receipts.
func printChannels(to io.Writer, list []app.AdminChannel) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CHANNEL\tDEVICES\tACCOUNT\tPROBLEM")
	for _, ch := range list {
		problem := ch.Problem
		if ch.ProblemAt > 0 {
			problem = fmt.Sprintf("%s (%s)", problem, localTime(ch.ProblemAt, time.DateTime))
		}
		if ch.QuotaUntil > 0 {
			problem = strings.TrimPrefix(problem+"; quota used up until "+localTime(ch.QuotaUntil, time.DateTime), "; ")
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", ch.Channel, ch.Devices, ch.Account, cmp.Or(problem, "-"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	first := true
	for _, ch := range list {
		if ch.Receipts == "" {
			continue
		}
		if first {
			fmt.Fprintln(w, "\nRECEIPTS GO TO (secret)")
			first = false
		}
		fmt.Fprintf(w, "%s\t%s\n", ch.Channel, ch.Receipts)
	}
	return w.Flush()
}

func localTime(millis int64, layout string) string {
	return time.UnixMilli(millis).Local().Format(layout)
}

// ChannelSetCmd is `borealis channel set`.
type ChannelSetCmd struct {
	channelFlags
	File      string `arg:"" help:"File with the credentials as JSON, in the fields of docs/channels; - reads standard input."`
	Marketing int    `help:"Messages of class marketing a device may get on a day; 0: as the vendor rules." default:"0"`
}

// Run keeps the credentials.
func (c *ChannelSetCmd) Run(ctx context.Context) error {
	in, name := os.Stdin, "standard input"
	if c.File != "-" {
		name = c.File
		file, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	const limit = 64 << 10
	text, err := io.ReadAll(io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return err
	case len(text) > limit:
		return fmt.Errorf("%s has more than %d bytes", name, limit)
	case len(bytes.TrimSpace(text)) == 0:
		return fmt.Errorf("%s is empty", name)
	}
	if err := json.Unmarshal(text, new(json.RawMessage)); err != nil {
		return fmt.Errorf("%s is not JSON: %w", name, err)
	}
	var out struct{}
	if err := c.call(ctx, http.MethodPut, c.path(), app.AdminChannelChange{Credentials: text, Marketing: c.Marketing}, &out); err != nil {
		return err
	}
	if c.Channel == "sms" {
		return c.say("kept; providers of short messages can only be tried by sending one")
	}
	return c.say(fmt.Sprintf("kept; `borealis channel test %s %s` asks the vendor whether it takes them", c.Key, c.Channel))
}

func (c *channelFlags) say(text string) error {
	if c.JSON {
		return printJSON(struct{}{})
	}
	_, err := fmt.Println(text)
	return err
}

// ChannelRemoveCmd is `borealis channel remove`.
type ChannelRemoveCmd struct{ channelFlags }

// Run forgets the credentials.
func (c *ChannelRemoveCmd) Run(ctx context.Context) error {
	var out struct{}
	if err := c.call(ctx, http.MethodDelete, c.path(), nil, &out); err != nil {
		return err
	}
	return c.say("forgotten")
}

// ChannelTestCmd is `borealis channel test`.
type ChannelTestCmd struct{ channelFlags }

// Run asks the vendor.
func (c *ChannelTestCmd) Run(ctx context.Context) error {
	var out app.AdminProbe
	if err := c.call(ctx, http.MethodPost, c.path()+"/probe", nil, &out); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(out)
	}
	if !out.OK {
		return fmt.Errorf("%s: %s", c.Channel, out.Reason)
	}
	_, err := fmt.Println("taken")
	return err
}

// ChannelKeysCmd is `borealis channel keys`.
type ChannelKeysCmd struct {
	Subject string `required:"" help:"Who browsers' push services may turn to: mailto:… or https://…." placeholder:"URI"`
}

// Run makes a key pair.
func (c *ChannelKeysCmd) Run() error {
	public, private, err := webpush.GenerateKeys()
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]string{"public_key": public, "private_key": private, "subject": c.Subject})
	if err != nil {
		return err
	}
	if _, err := webpush.New(wire.Deps{}).Parse(text); err != nil { // the subject may be no address
		return err
	}
	return printJSON(json.RawMessage(text))
}

// TraceCmd is `borealis trace`.
type TraceCmd struct {
	adminFlags
	Key            string `arg:"" help:"AppKey."`
	Message        string `arg:"" help:"Message id."`
	RegistrationID string `arg:"" help:"Registration id of the device."`
}

// Run prints what happened.
func (c *TraceCmd) Run(ctx context.Context) error {
	var out app.AdminTrace
	path := "/apps/" + url.PathEscape(c.Key) + "/messages/" + url.PathEscape(c.Message) + "/devices/" + url.PathEscape(c.RegistrationID)
	if err := c.call(ctx, http.MethodGet, path, nil, &out); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(out)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tCHANNEL\tWHAT\tWHY")
	for _, e := range out.Events {
		at := ""
		if e.At > 0 {
			at = localTime(e.At, "2006-01-02 15:04:05.000")
		}
		why := e.Detail
		if e.Code != "" {
			why = strings.TrimSuffix(e.Code+": "+e.Detail, ": ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", at, e.Channel, e.What, why)
	}
	return w.Flush()
}
