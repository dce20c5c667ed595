// What an integration does when Supaglue says that a sync is complete: of one that succeeded it
// emits an event, for whoever goes on with the new records; one that failed it tries again later.

import { utf8fromString, utf8toString } from '@exodus/bytes/utf8.js';
import { emit } from 'hookyard:handler/emit@0.1.0';
import type { Event, Outcome } from 'hookyard:handler/types@0.1.0';
import { log } from 'wasi:logging/logging@0.1.0-draft';

import { EVENT, type Sync, parse } from './sync';

export const handler = {
  handle(event: Event): Outcome {
    let sync: Sync;
    try {
      sync = parse(utf8toString(event.body));
    } catch (error) {
      return { tag: 'reject', val: `not a ${EVENT}: ${(error as Error).message}` };
    }
    const { customer_id, provider_name, object } = sync;
    const title = `${provider_name} ${object} of ${customer_id}`;
    if (sync.result === 'ERROR') {
      return { tag: 'retry', val: { reason: `${title}: ${sync.error_message ?? 'no reason given'}` } };
    }
    const records = sync.num_records_synced ?? 0;
    log('info', '', `${title}: ${records} records are ready`);
    const succeeded = { customer_id, provider_name, object, records };
    emit('sync.succeeded', utf8fromString(JSON.stringify(succeeded)));
    return { tag: 'ack' };
  },
};
