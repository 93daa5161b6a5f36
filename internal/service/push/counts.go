package push

// Counts is the funnel of a message: how many of its targets reached each stage. Every number is at most Targets.
type Counts struct {
	Targets, Sent, Delivered, Displayed, Clicked int64
	// Vendor counts the targets that a vendor took over and of which nothing more is known.
	Vendor int64
	// Failed counts the pairs that ended without delivery, by Outcome.
	Failed [outcomeEnd]int64
}

func (c *Counts) add(o Counts) {
	c.Targets += o.Targets
	c.Sent += o.Sent
	c.Delivered += o.Delivered
	c.Displayed += o.Displayed
	c.Clicked += o.Clicked
	c.Vendor += o.Vendor
	for i, n := range o.Failed {
		c.Failed[i] += n
	}
}

// FailedTotal is the sum over the reasons.
func (c *Counts) FailedTotal() (n int64) {
	for _, f := range c.Failed {
		n += f
	}
	return n
}
