package borealis.device;

import java.io.IOException;

/** All that a client remembers. */
final class State {
  final Identity identity;
  final Known known;
  final Receipts receipts;
  final Profile profile;
  final Tokens tokens;
  /** In this life only; touched by whoever has the turn of Delivery. */
  final Delivery.Failures failures = new Delivery.Failures();

  State(Storage storage, Timing timing) {
    Drawer drawer = new Drawer(storage);
    identity = new Identity(drawer);
    known = new Known(drawer);
    receipts = new Receipts(drawer, timing.linger());
    profile = new Profile(drawer);
    tokens = new Tokens(drawer);
  }

  /** Erases everything. The identity goes last: while it is there, an erasure cut short is begun again. */
  void erase() throws IOException {
    known.erase();
    receipts.erase();
    profile.erase();
    tokens.erase();
    identity.erase();
  }
}
