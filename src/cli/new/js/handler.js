import { log } from 'wasi:logging/logging@0.1.0-draft';

export const handler = {
  handle(event) {
    let order;
    try {
      order = JSON.parse(new TextDecoder().decode(event.body));
    } catch (error) {
      return { tag: 'reject', val: `no order: ${error.message}` };
    }
    log('info', '', `order ${order.id}: ${order.total}`);
    return { tag: 'ack' };
  },
};
