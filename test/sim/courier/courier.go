// Package courier brings the receipts of simulated vendors to a server, in the background as vendors do.
package courier

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	// maxWaiting is how many receipts may be on their way; more are lost, which vendors do too.
	maxWaiting = 10_000
	// maxAtOnce is how many calls are made at once, and timeout how long one may take.
	maxAtOnce = 16
	timeout   = 10 * time.Second
)

// Courier posts receipts. It is safe for concurrent use.
type Courier struct {
	client *http.Client
	slots  chan struct{}

	mu      sync.Mutex
	to      *url.URL
	waiting int
	all     sync.WaitGroup
}

// New returns a courier that knows no address: receipts are dropped.
func New() *Courier {
	return &Courier{client: &http.Client{Timeout: timeout}, slots: make(chan struct{}, maxAtOnce)}
}

// To names the server's address; empty or no address: receipts are dropped.
func (c *Courier) To(address string) {
	u, err := url.Parse(address)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.to = nil
	if err == nil && u.Host != "" {
		c.to = u
	}
}

// Post sends a receipt. An address that came with a message is called at the server that To names, with the path and query it has; an
// empty one is what To names.
func (c *Courier) Post(address string, header http.Header, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.to == nil || c.waiting >= maxWaiting {
		return
	}
	target := *c.to
	if address != "" {
		u, err := url.Parse(address)
		if err != nil {
			return
		}
		target.Path, target.RawPath, target.RawQuery = u.Path, u.RawPath, u.RawQuery
	}
	c.waiting++
	c.all.Go(func() {
		c.slots <- struct{}{}
		c.post(target.String(), header, body)
		<-c.slots
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waiting--
	})
}

func (c *Courier) post(address string, header http.Header, body []byte) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return
	}
	req.Header = header
	resp, err := c.client.Do(req)
	if err != nil {
		return // nobody is told; a vendor would not tell either
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	resp.Body.Close()
}

// Wait waits until all receipts so far have been brought.
func (c *Courier) Wait() { c.all.Wait() }
