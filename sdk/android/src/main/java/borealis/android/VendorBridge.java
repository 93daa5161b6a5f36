package borealis.android;

/** The way to one phone maker's push library. */
interface VendorBridge {
  /** Takes what a library answers, now or later, from any thread. An empty token is none: it will come another way. */
  interface Answer {
    void token(String token);

    void failed(String why);
  }

  /** The channel as the device protocol calls it. */
  String channel();

  /** The class without which the library is not there. */
  String library();

  /** Registers with the maker's service and asks for the token. Not in the main thread. */
  void ask(Answer answer) throws ReflectiveOperationException;
}
