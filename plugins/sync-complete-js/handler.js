// What an integration does when Supaglue says that a sync is complete: of one that succeeded it
// emits an event, for whoever goes on with the new records; one that failed it tries again later.

import { emit } from 'hookyard:handler/emit@0.1.0';
import { log } from 'wasi:logging/logging@0.1.0-draft';

const EVENT = 'sync.complete';

export const handler = {
  handle(event) {
    let sync;
    try {
      sync = parse(new TextDecoder().decode(event.body));
    } catch (error) {
      return { tag: 'reject', val: `not a ${EVENT}: ${error.message}` };
    }
    const { customer_id, provider_name, object } = sync;
    const title = `${provider_name} ${object} of ${customer_id}`;
    if (sync.result === 'ERROR') {
      const reason = `${title}: ${sync.error_message ?? 'no reason given'}`;
      return { tag: 'retry', val: { afterMs: undefined, reason } };
    }
    const records = sync.num_records_synced ?? 0;
    log('info', '', `${title}: ${records} records are ready`);
    const succeeded = { customer_id, provider_name, object, records };
    emit('sync.succeeded', new TextEncoder().encode(JSON.stringify(succeeded)));
    return { tag: 'ack' };
  },
};

/** The body of a sync.complete event; throws if it is none. */
function parse(body) {
  const sync = JSON.parse(body);
  const isText = (value) => typeof value === 'string';
  const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
  const check = (name, isGood) => {
    if (!isGood(sync?.[name])) throw new Error(`${name} is ${JSON.stringify(sync?.[name])}`);
  };
  check('webhook_event_type', isText);
  if (sync.webhook_event_type !== EVENT) throw new Error(sync.webhook_event_type);
  for (const name of ['customer_id', 'provider_name', 'object']) check(name, isText);
  check('result', (value) => value === 'SUCCESS' || value === 'ERROR');
  check('num_records_synced', (value) => value == null || isCount(value));
  check('error_message', (value) => value == null || isText(value));
  return sync;
}
