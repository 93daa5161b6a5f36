import { type Frame, type Silence } from "./message.js";
import { type Event, type Options, type Settled } from "./options.js";
import { type Profile, type Token } from "./profile.js";
import type { Platform } from "./seams.js";
import { State, type Receipt } from "./state.js";
/** Too much waits to be sent; the call changed nothing. */
export declare class TooMuchError extends Error {
    readonly name = "TooMuchError";
}
/** A device. Every call may be made at any time; its promise is fulfilled when what it says is stored. */
export declare class Device {
    /** @internal */ readonly o: Settled;
    /** @internal */ readonly state: State;
    /** @internal Receipts of the front of the list that are under way. */
    flyingReceipts: number;
    /** @internal The pending profile is sent one member at a time, because it was refused as a whole. */
    apart: boolean;
    /** @internal The message being handled: the next waits for it, also over connections. */
    handling: Promise<void>;
    private life;
    private ending;
    private readonly failures;
    private constructor();
    /** Reads the storage. It causes no traffic; start does. */
    static open(options: Options, on: Platform): Promise<Device>;
    /** The device's id, undefined while it has none. */
    get registrationID(): string | undefined;
    /** Connects as soon as there is consent, and stays connected. */
    start(): void;
    /** Disconnects and stays offline; fulfilled when nothing of the SDK runs any more. */
    stop(): Promise<void>;
    /** The network may be back: a delay before the next attempt to connect is cut short. */
    networkUp(): void;
    /** The device's owner agreed: to which version of the terms, and to which purposes. It is kept. */
    consent(version: string, purposes: string[]): Promise<void>;
    private uuid;
    /** Replaces all tags. */
    setTags(tags: string[]): Promise<void>;
    addTags(tags: string[]): Promise<void>;
    removeTags(tags: string[]): Promise<void>;
    /** "" unbinds. signature is the backend's, where the app demands it. */
    setAlias(alias: string, signature?: string): Promise<void>;
    /** Merges attributes; null deletes one. */
    setAttributes(attributes: Record<string, string | null>): Promise<void>;
    /** An IANA name. */
    setTimezone(timezone: string): Promise<void>;
    /** Whether the system lets the program show notifications. */
    setNotificationsEnabled(enabled: boolean): Promise<void>;
    /** While push is off, messages that come are acknowledged and not handed over. */
    setPushEnabled(enabled: boolean): Promise<void>;
    /** Hours in which messages are handed over as silent; null clears them. */
    setSilence(silence: Silence | null): Promise<void>;
    private say;
    /** @internal Stores the words; what is under way is still to be kept. */
    saveWords(): Promise<void>;
    /** Tells a vendor's token; what the server has is not sent again. */
    putToken(token: Token): Promise<void>;
    /** Reports that a message was shown. */
    displayed(id: string): Promise<void>;
    /** Reports that the owner opened a message. */
    clicked(id: string): Promise<void>;
    /** Reports that the owner put a message away. */
    dismissed(id: string): Promise<void>;
    /** @internal at: by the server's clock, now if absent. */
    report(id: string, event: Receipt["event"], at?: number): Promise<void>;
    /** @internal The time by the server's clock, Unix milliseconds. */
    serverNow(): number;
    /** @internal Learns the server's clock. */
    setOffset(serverTime: number): Promise<void>;
    /**
     * Ends the registration: everything is forgotten at once, the consent too, and the server is told. If it cannot be reached
     * the promise is rejected, and a started device tells it before anything else.
     */
    end(): Promise<void>;
    /** @internal Tells the server of a registration that ended here, if there is one. */
    tellEnd(): Promise<void>;
    /** @internal */
    emit(e: Event): void;
    /** @internal */
    trouble(error: unknown): void;
    /** @internal Hands a message over and remembers it; false: it is not to be acknowledged. */
    handle(f: Frame): Promise<boolean>;
    /** Decides about a message and sets silent. */
    private judge;
    /** @internal Takes the next change of the profile into flight. */
    nextProfile(): Profile | undefined;
    /** @internal What was under way waits again. */
    grounded(): void;
}
