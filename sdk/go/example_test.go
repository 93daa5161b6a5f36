package borealis_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	borealis "borealis/sdk/go"
)

// A program that prints what is pushed to it, until it is interrupted.
func Example() { //nolint:testableexamples // it needs a server
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	store, err := borealis.OpenFileStorage("/var/lib/greeter/push")
	if err != nil {
		log.Fatal(err)
	}
	var client *borealis.Client
	client, err = borealis.New(borealis.Options{
		Server: "https://push.example.com", AppKey: "0123456789abcdef01234567", Platform: "desktop", Storage: store,
		OnMessage: func(_ context.Context, m borealis.Message) error {
			fmt.Println(m.Title, m.Alert)
			return client.Displayed(m.ID)
		},
		OnEvent: func(e borealis.Event) { log.Println(e.Kind, e.RegistrationID, e.Err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Consent("2026-01", "push"); err != nil { // once the user has agreed
		log.Fatal(err)
	}
	if err := client.AddTags("beta"); err != nil {
		log.Fatal(err)
	}
	err = client.Run(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}
