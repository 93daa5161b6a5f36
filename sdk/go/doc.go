// Package borealis makes a Go program a device of a Borealis server: it registers, stays connected, receives pushes and
// tells the server what became of them.
//
//	store, err := borealis.OpenFileStorage("/var/lib/myapp/push")
//	client, err := borealis.New(borealis.Options{
//		Server: "https://push.example.com", AppKey: "…", Platform: "desktop", Storage: store,
//		OnMessage: func(ctx context.Context, m borealis.Message) error {
//			fmt.Println(m.Title, m.Alert)
//			return nil
//		},
//	})
//	client.Consent("2026-01", "push") // once the user has agreed; kept
//	err = client.Run(ctx)             // until ctx ends
//
// Nothing is sent, and no identifier is made, before Consent. What the program says of the device (tags, alias, tokens,
// receipts …) is kept in the Storage and sent when there is a connection, so every call may be made at any time and
// returns when the words are stored. A message is handed over once, over restarts too, and acknowledged after OnMessage
// returned and the message is remembered.
//
// Invariants: Run owns all goroutines, and has ended them when it returns. One lock (Client.mu) protects the state; it is
// never held while a callback runs or the network is used. Callbacks may call every method of the Client, except Run.
//
// What every SDK does in which case is written in sdk/scenarios/README.md, which this package is tested with.
package borealis
