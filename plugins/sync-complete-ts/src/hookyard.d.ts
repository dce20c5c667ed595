// The parts of ../../wit that the handler uses, as TypeScript sees them.

declare module 'hookyard:handler/types@0.1.0' {
  interface Header {
    name: string;
    value: Uint8Array;
  }

  interface Event {
    id: string;
    source: string;
    eventType: string;
    route: string;
    /** Milliseconds since 1970. */
    receivedAt: number;
    /** 1 is the first. */
    attempt: number;
    headers: Header[];
    body: Uint8Array;
    attributes: [string, string][];
  }

  interface Reply {
    status: number;
    headers: Header[];
    body: Uint8Array;
  }

  interface Later {
    /** Without it, the route's schedule says when. */
    afterMs?: number;
    reason: string;
  }

  type Outcome =
    | { tag: 'ack' }
    | { tag: 'reply'; val: Reply }
    | { tag: 'retry'; val: Later }
    | { tag: 'reject'; val: string };
}

declare module 'hookyard:handler/emit@0.1.0' {
  /** Throws if the event type is not granted. */
  function emit(eventType: string, body: Uint8Array): void;
}

declare module 'wasi:logging/logging@0.1.0-draft' {
  type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'critical';
  function log(level: Level, context: string, message: string): void;
}
