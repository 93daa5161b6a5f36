import type { Device } from "./device.js";
/** One life of a device: from start to stop. */
export declare class Life {
    private readonly d;
    over: boolean;
    private stopping;
    private session;
    private ended;
    private awaken;
    private waitsForConsent;
    private failures;
    private voids;
    private turn;
    private other;
    constructor(d: Device);
    begin(): void;
    /** Ends it; fulfilled when nothing runs any more but a handler of the program that takes its time. */
    stop(): Promise<void>;
    /** There may be something to do or to send. */
    changed(): void;
    hurry(): void;
    /** The identity is gone. */
    reset(): void;
    private run;
    private pause;
    /** Does the next thing; how long to wait after it in milliseconds, undefined: the life is over. */
    private step;
    private attempt;
    private connect;
    /** The addresses to try in turn: those of the preferred transport, or all if there is none of it. */
    private usable;
    /** How long to wait after an error, milliseconds. */
    private after;
    private failed;
}
export declare const schemeOf: (address: string) => string;
/** The address that a server's reference ("host:port") means for a device that used from. */
export declare function moved(from: string, reference: string | undefined): string | undefined;
