// The core, without a platform: bring transports, requests and a storage (./node, ./browser and ./miniprogram do).

export { backoff } from "./backoff.js";
export { Device, TooMuchError } from "./device.js";
export type { Custom, Message, Silence } from "./message.js";
export { RefusedError, version, type Event, type Options, type What } from "./options.js";
export type { Consent, Token } from "./profile.js";
export type { Channel, HTTPAnswer, HTTPAsk, Platform, Request, Transport, TransportEvents } from "./seams.js";
export { MemoryStorage, type Storage } from "./storage.js";
export { WebSocketTransport, type SocketLike } from "./websocket.js";
