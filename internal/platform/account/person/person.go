package person

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"time"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/ratelimit"
	"borealis/internal/kernel/secret"
	"borealis/internal/platform/account/person/password"
)

//go:embed migrations
var migrations embed.FS

// Migrate brings the package's tables forward. The audit log's must exist.
func Migrate(ctx context.Context, d *db.DB) error {
	return d.Migrate(ctx, "account_person", migrations)
}

// Deps is what the service stands on.
type Deps struct {
	DB    *db.DB
	Keys  *secret.Keys
	Audit *audit.Log
	Clock clock.Clock
	Log   *slog.Logger
	// Courier brings codes and notices to people.
	Courier Courier
	Options Options
}

// Options are the choices of the operator. Zero values are the defaults.
type Options struct {
	// Platform: strangers may register, with name, e-mail and mobile number, and must accept. Otherwise (private mode)
	// people come by the bootstrap link or an invitation, and an e-mail address is enough.
	Platform bool
	// SignUp lets strangers register in private mode too.
	SignUp bool
	// Idle ends a session that was not used for so long; default 2 h. Absolute ends every session; default 12 h.
	Idle, Absolute time.Duration
	// RecoveryWait is how long a recovery waits for somebody to say "not me" before a new password can be set; default
	// 48 h in platform mode, none in private mode. Negative: none.
	RecoveryWait time.Duration
	// PasswordAge is after how long a password is to be changed; 0: never.
	PasswordAge time.Duration
	// RequireSecond demands a second factor of operators and of owners of organisations' accounts; it is always on in
	// platform mode.
	RequireSecond bool
	// Hash is what hashing a password costs; zero: password.DefaultParams.
	Hash password.Params
	// Hashers is how many passwords are hashed at once; default: the number of processors.
	Hashers int
	// Origin is where the console is, e.g. "https://push.example.com": passkeys belong to it. Empty: no passkeys.
	Origin string
	// Issuer is the installation's name in authenticator apps; default "Borealis".
	Issuer string
	// CodesPerAddress is how many codes an IP address may ask for in an hour; default 30.
	CodesPerAddress int
}

func (o *Options) defaults() {
	positive := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	positive(&o.Idle, 2*time.Hour)
	positive(&o.Absolute, 12*time.Hour)
	if o.RecoveryWait == 0 && o.Platform {
		o.RecoveryWait = 48 * time.Hour
	}
	o.RecoveryWait = max(0, o.RecoveryWait)
	o.RequireSecond = o.RequireSecond || o.Platform
	if o.Hash == (password.Params{}) {
		o.Hash = password.DefaultParams()
	}
	if o.Hashers <= 0 {
		o.Hashers = runtime.GOMAXPROCS(0)
	}
	if o.Issuer == "" {
		o.Issuer = "Borealis"
	}
	if o.CodesPerAddress <= 0 {
		o.CodesPerAddress = 30
	}
}

// Where is from where somebody acts.
type Where struct {
	IP netip.Addr
	// Agent is the browser's or program's name of itself; it is cut at 256 bytes.
	Agent string
}

// Service keeps people. It is safe for concurrent use.
type Service struct {
	db      *db.DB
	keys    *secret.Keys
	audit   *audit.Log
	clock   clock.Clock
	log     *slog.Logger
	courier Courier
	opt     Options
	hasher  *password.Hasher
	codeKey []byte
	// asked counts codes that an address asks for, so that nobody makes this server write to the whole world.
	asked     *ratelimit.Windows[netip.Prefix]
	passkeys  *passkeys
	providers map[string]Provider
}

// New returns the service; Run purges what has expired.
func New(d Deps, providers ...Provider) (*Service, error) {
	d.Options.defaults()
	hasher, err := password.NewHasher(d.Options.Hash, d.Options.Hashers)
	if err != nil {
		return nil, err
	}
	s := &Service{
		db: d.DB, keys: d.Keys, audit: d.Audit, clock: d.Clock, log: d.Log, courier: d.Courier, opt: d.Options, hasher: hasher,
		codeKey: d.Keys.Derive("person/code/v1"), asked: ratelimit.NewWindows[netip.Prefix](d.Clock, time.Hour, 100_000), providers: map[string]Provider{},
	}
	if s.passkeys, err = newPasskeys(d.Options.Origin, d.Options.Issuer); err != nil {
		return nil, err
	}
	for _, p := range providers {
		s.providers[p.Name()] = p
	}
	return s, nil
}

// Hashed is the number of password hashes computed so far: what an answer costs must not depend on whether somebody is
// known.
func (s *Service) Hashed() int64 { return s.hasher.Computed() }

func (s *Service) now() int64 { return clock.Millis(s.clock.Now()) }

// Errors that have no more to say than their kind.
var (
	// ErrNotFound: there is nothing of this number or name that the caller may know of.
	ErrNotFound = errors.New("not found")
	// ErrSignUpClosed: in private mode people come by invitation.
	ErrSignUpClosed = errors.New("sign-up is by invitation only")
	// ErrLink: a draft, link, invitation or challenge has expired, was used already or never was.
	ErrLink = errors.New("the link or step has expired or was used already; begin again")
	// ErrCode: the code is wrong, has expired, was used or was tried too often.
	ErrCode = errors.New("the code is wrong or has expired")
	// ErrCredentials: no such person, or the wrong password; nobody is told which.
	ErrCredentials = errors.New("the name or the password is wrong")
	// ErrSession: there is no such session, or not any more.
	ErrSession = errors.New("the session has ended; sign in again")
	// ErrFrozen: somebody said "not me"; only recovery helps.
	ErrFrozen = errors.New("the log-in was frozen after a report; recover it first")
	// ErrProof: this act needs a fresh proof of who is there; see StepUp.
	ErrProof = errors.New("confirm who you are first")
	// ErrLastOwner: an account cannot be without an owner, nor an installation.
	ErrLastOwner = errors.New("the last owner cannot leave; make somebody else an owner first")
	// ErrLastMethod: nobody may be locked out by removing the last way to sign in.
	ErrLastMethod = errors.New("this is the last way to sign in; add another first")
	// ErrBound: the log-in elsewhere belongs to another person here.
	ErrBound = errors.New("this log-in belongs to somebody already")
	// ErrMustAgree: nothing exists without acceptance.
	ErrMustAgree = errors.New("nothing was created: the agreement has to be accepted")
)

// InvalidError is a value that is not taken.
type InvalidError struct{ Field, Reason string }

// Error makes *InvalidError an error.
func (e *InvalidError) Error() string { return e.Field + " " + e.Reason }

// TakenError says that an address, which the caller has just proved to be theirs, is another person's log-in already.
type TakenError struct{ Field string }

// Error makes *TakenError an error.
func (e *TakenError) Error() string {
	return "the " + e.Field + " belongs to an existing log-in; sign in or recover it"
}

// WaitError says that something was asked for too often.
type WaitError struct{ After time.Duration }

// Error makes *WaitError an error.
func (e *WaitError) Error() string {
	return fmt.Sprintf("too many attempts; try again in %s", e.After.Round(time.Second))
}

// reader is a transaction or the database.
type reader interface {
	rower
	querier
}
