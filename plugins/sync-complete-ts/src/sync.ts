/** The event that the handler is for. */
export const EVENT = 'sync.complete';

/** What is read of the body of such an event. */
export interface Sync {
  webhook_event_type: typeof EVENT;
  customer_id: string;
  provider_name: string;
  object: string;
  result: 'SUCCESS' | 'ERROR';
  num_records_synced?: number | null;
  error_message?: string | null;
}

/** Whether each of the fields is what it should be. */
const FIELDS: { [name in keyof Sync]-?: (value: unknown) => boolean } = {
  webhook_event_type: isText,
  customer_id: isText,
  provider_name: isText,
  object: isText,
  result: (value) => value === 'SUCCESS' || value === 'ERROR',
  num_records_synced: (value) => value == null || isCount(value),
  error_message: (value) => value == null || isText(value),
};

/** Reads the body of such an event; throws if it is none. */
export function parse(body: string): Sync {
  const sync = JSON.parse(body);
  for (const [name, isGood] of Object.entries(FIELDS)) {
    if (!isGood(sync?.[name])) throw new Error(`${name} is ${JSON.stringify(sync?.[name])}`);
  }
  if (sync.webhook_event_type !== EVENT) throw new Error(sync.webhook_event_type);
  return sync;
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
