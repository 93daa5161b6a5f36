package edge

import (
	"context"
	"sync"
)

// pool runs jobs on at most limit goroutines that exist only while there is work. Jobs that find all of them busy
// wait in order, at most bound of them.
type pool struct {
	ctx          context.Context
	limit, bound int

	mu      sync.Mutex
	queue   []func(context.Context)
	head    int
	running int
	done    sync.WaitGroup
}

func newPool(ctx context.Context, limit, bound int) *pool {
	return &pool{ctx: ctx, limit: limit, bound: bound}
}

// submit hands in a job; false: too many wait already, or the pool is being stopped. The job's context ends when the
// pool stops.
func (p *pool) submit(job func(context.Context)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil || len(p.queue)-p.head >= p.bound+p.limit {
		return false
	}
	p.queue = append(p.queue, job)
	if p.running < p.limit {
		p.running++
		p.done.Add(1)
		go p.work()
	}
	return true
}

func (p *pool) work() {
	defer p.done.Done()
	for {
		job := p.next()
		if job == nil {
			return
		}
		job(p.ctx)
	}
}

func (p *pool) next() func(context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.head == len(p.queue) || p.ctx.Err() != nil {
		p.queue, p.head = nil, 0
		p.running--
		return nil
	}
	job := p.queue[p.head]
	p.queue[p.head] = nil
	p.head++
	if p.head > 1024 && p.head*2 > len(p.queue) {
		p.queue = append(p.queue[:0:0], p.queue[p.head:]...)
		p.head = 0
	}
	return job
}

// waiting is the number of jobs that no goroutine has taken.
func (p *pool) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) - p.head
}

// wait returns when every goroutine has ended; the context the pool was made with must have ended before.
func (p *pool) wait() { p.done.Wait() }
