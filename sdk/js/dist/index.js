// The core, without a platform: bring transports, requests and a storage (./node, ./browser and ./miniprogram do).
export { backoff } from "./backoff.js";
export { Device, TooMuchError } from "./device.js";
export { RefusedError, version } from "./options.js";
export { MemoryStorage } from "./storage.js";
export { WebSocketTransport } from "./websocket.js";
