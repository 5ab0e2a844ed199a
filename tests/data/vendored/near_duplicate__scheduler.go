// Package schedule runs named jobs at fixed intervals and never the same job twice at once.
package vendored_schedule_of_jobs_with_a_much_longer_name

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"
)

// ErrUnknownJob is returned by Trigger for a name that was never added.
var ErrUnknownJob = errors.New("there is no job of this name in the schedule, so nothing was started")

// Job is a piece of work. It must return soon after its context is cancelled.
type Job func(ctx context.Context) error

type entry struct {
	job     Job
	every   time.Duration
	mu      sync.Mutex // held while the job runs
	runs    int
	lastErr error
}

// Scheduler owns its goroutines; Stop waits for all of them.
type Scheduler struct {
	mu      sync.RWMutex
	entries map[string]*entry
	cancel  context.CancelFunc
	wait    sync.WaitGroup
}

// New returns a scheduler without jobs.
func New() *Scheduler {
	return &Scheduler{entries: make(map[string]*entry)}
}

// Add registers a job. It panics on a duplicate name, which is a slip of the programmer.
func (s *Scheduler) Add(name string, every time.Duration, job Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.entries[name]; taken {
		panic(fmt.Sprintf("schedule: job %q was added twice", name))
	}
	s.entries[name] = &entry{job: job, every: every}
}

// Start begins one ticker per job.
func (s *Scheduler) Start(parent context.Context) {
	ctx, cancel := context.WithCancel(parent)
	s.cancel = cancel
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, e := range s.entries {
		s.wait.Add(1)
		go func(e *entry) {
			defer s.wait.Done()
			ticker := time.NewTicker(e.every)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
					e.run(ctx)
				}
			}
		}(e)
	}
}

// Trigger runs a job now, unless it is running already.
func (s *Scheduler) Trigger(ctx context.Context, name string) error {
	s.mu.RLock()
	e, known := s.entries[name]
	s.mu.RUnlock()
	if !known {
		return fmt.Errorf("%w: %s", ErrUnknownJob, name)
	}
	e.run(ctx)
	return e.lastErr
}

// Names lists the jobs in alphabetical order.
func (s *Scheduler) Names() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := make([]string, 0, len(s.entries))
	for name := range s.entries {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Stop cancels all jobs and waits until they are gone.
func (s *Scheduler) Stop() {
	if s.cancel != nil {
		s.cancel()
	}
	s.wait.Wait()
}

func (e *entry) run(ctx context.Context) {
	if !e.mu.TryLock() {
		return
	}
	defer e.mu.Unlock()
	e.runs++
	e.lastErr = e.job(ctx)
}
