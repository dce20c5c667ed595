import { Json, Kind } from './json';

/** The event that the handler is for. */
export const EVENT = 'sync.complete';

/** The body of such an event. */
export class Sync {
  /** Why it is none; empty if it is one. */
  wrong: string = '';
  customer: string = '';
  provider: string = '';
  object: string = '';
  result: string = '';
  records: u64 = 0;
  reason: string = 'no reason given';

  constructor(body: string) {
    const json = Json.parse(body);
    if (json && json.kind == Kind.Object) this.read(json);
    else this.wrong = 'no JSON object';
  }

  private read(json: Json): void {
    const event = this.text(json, 'webhook_event_type');
    if (this.wrong == '' && event != EVENT) this.wrong = event;
    this.customer = this.text(json, 'customer_id');
    this.provider = this.text(json, 'provider_name');
    this.object = this.text(json, 'object');
    this.result = this.text(json, 'result');
    if (this.wrong == '' && this.result != 'SUCCESS' && this.result != 'ERROR') this.wrong = this.result;
    if (json.get('error_message')) this.reason = this.text(json, 'error_message');
    const records = json.get('num_records_synced');
    if (records) this.count(records);
  }

  /** The member of that name, which must be a text. The first that is none is what is wrong. */
  private text(json: Json, name: string): string {
    const value = json.get(name);
    if (value && value.kind == Kind.Text) return value.text;
    if (this.wrong == '') this.wrong = 'no text in ' + name;
    return '';
  }

  private count(value: Json): void {
    const digits = value.text;
    this.records = U64.parseInt(digits);
    // What has a sign, a fraction or too many digits is written otherwise.
    if (value.kind != Kind.Number || this.records.toString() != digits) {
      this.wrong = 'num_records_synced is no number of records';
    }
  }
}
