// What an integration does when Supaglue says that a sync is complete: of one that succeeded it
// emits an event, for whoever goes on with the new records; one that failed it tries again later.
//
// A handler as a WASI command: the event comes as JSON on stdin, what it prints to stdout is the
// outcome, and stderr is its log.

import { Json, Kind } from './json';
import { EVENT, Sync } from './sync';

process.stdout.write(handle(body(input())));

function handle(body: string): string {
  const sync = new Sync(body);
  if (sync.wrong != '') return outcome('reject', `not a ${EVENT}: ${sync.wrong}`);
  const title = `${sync.provider} ${sync.object} of ${sync.customer}`;
  if (sync.result == 'ERROR') return outcome('retry', `${title}: ${sync.reason}`);
  process.stderr.write(`${title}: ${sync.records} records are ready\n`);
  const customer = Json.quote(sync.customer);
  const provider = Json.quote(sync.provider);
  const object = Json.quote(sync.object);
  const succeeded = Json.quote(
    `{"customer_id":${customer},"provider_name":${provider},"object":${object},"records":${sync.records}}`
  );
  return `{"outcome":"ack","emit":[{"event_type":"sync.succeeded","body":${succeeded}}]}`;
}

function outcome(name: string, reason: string): string {
  return `{"outcome":"${name}","reason":${Json.quote(reason)}}`;
}

/** The event's body; empty if it is no UTF-8, and so comes under another name. */
function body(event: string): string {
  const json = Json.parse(event);
  assert(json, 'no event');
  const body = json!.get('body');
  return body && body.kind == Kind.Text ? body.text : '';
}

/** All of stdin. */
function input(): string {
  const buffer = new ArrayBuffer(4096);
  const bytes: u8[] = [];
  for (let n = process.stdin.read(buffer); n > 0; n = process.stdin.read(buffer)) {
    for (let i = 0; i < n; i++) bytes.push(load<u8>(changetype<usize>(buffer) + i));
  }
  return String.UTF8.decodeUnsafe(bytes.dataStart, bytes.length);
}
