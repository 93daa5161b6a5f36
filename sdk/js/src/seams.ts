/** Opens byte streams that MQTT can be spoken on. */
export interface Transport {
  /** Schemes of addresses it can open, without "://": tcp, mqtt, mqtts, ssl, ws, wss. */
  readonly schemes: readonly string[];
  /** Begins to open; exactly one of the events opened and closed comes first, closed comes once and last. */
  open(address: string, events: TransportEvents): Channel;
}

/** What a transport tells of a channel. */
export interface TransportEvents {
  opened(): void;
  received(bytes: Uint8Array): void;
  closed(why: Error): void;
}

/** A stream that is open or being opened. */
export interface Channel {
  send(bytes: Uint8Array): void;
  /** Ends it, now; what was sent before goes out where that is possible. */
  close(): void;
}

/** Makes an HTTP call. It is rejected when there is no answer. */
export type Request = (ask: HTTPAsk) => Promise<HTTPAnswer>;

export interface HTTPAsk {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: string;
}

export interface HTTPAnswer {
  status: number;
  /** The header Retry-After, if there was one. */
  retryAfter?: string;
  body: string;
}

/** What the SDK takes from its surroundings. */
export interface Platform {
  transports: Transport[];
  request: Request;
  /** So many random bytes. */
  random(bytes: number): Uint8Array;
  /** Whether another part of the program has shown the message "type/id". */
  known?(key: string): Promise<boolean>;
}
