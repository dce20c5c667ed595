// As much of JSON as a handler needs: to read a value, and to write a text.

/** How deep values may lie in each other. */
const DEPTH: i32 = 100;

export enum Kind {
  Literal,
  Number,
  Text,
  List,
  Object,
}

export class Json {
  members: Map<string, Json> = new Map();

  /** `text` is what a string says; a number or a literal as it is written. */
  constructor(public kind: Kind, public text: string = '') {}

  /** The member of that name; null if there is none, or it is `null`. */
  get(name: string): Json | null {
    if (!this.members.has(name)) return null;
    const value = this.members.get(name);
    return value.kind == Kind.Literal && value.text == 'null' ? null : value;
  }

  /** Null if the text is no JSON. */
  static parse(text: string): Json | null {
    const reader = new Reader(text);
    const value = reader.value(0);
    return value && reader.next() < 0 ? value : null;
  }

  /** The text as a string of JSON. */
  static quote(text: string): string {
    const quoted = new Array<string>();
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code == CharCode.QUOTE || code == CharCode.BACKSLASH) quoted.push('\\');
      quoted.push(code < 0x20 ? '\\u' + code.toString(16).padStart(4, '0') : text.charAt(i));
    }
    return '"' + quoted.join('') + '"';
  }
}

const enum CharCode {
  QUOTE = 0x22,
  BACKSLASH = 0x5c,
}

/** Each method is null, and each length 0, where there is not what is to be read. */
class Reader {
  private at: i32 = 0;

  constructor(private text: string) {}

  /** The next character that is no space; negative at the end. */
  next(): i32 {
    while (this.at < this.text.length && ' \t\r\n'.includes(this.text.charAt(this.at))) this.at++;
    return this.peek();
  }

  private peek(): i32 {
    return this.at < this.text.length ? this.text.charCodeAt(this.at) : -1;
  }

  private take(expected: string): bool {
    if (!this.text.startsWith(expected, this.at)) return false;
    this.at += expected.length;
    return true;
  }

  value(depth: i32): Json | null {
    if (depth > DEPTH) return null;
    this.next();
    if (this.take('{')) return this.object(depth);
    if (this.take('[')) return this.list(depth);
    if (this.peek() == CharCode.QUOTE) {
      const text = this.string();
      return text === null ? null : new Json(Kind.Text, text);
    }
    for (let i = 0; i < LITERALS.length; i++) {
      if (this.take(LITERALS[i])) return new Json(Kind.Literal, LITERALS[i]);
    }
    return this.number();
  }

  private object(depth: i32): Json | null {
    const object = new Json(Kind.Object);
    if (this.closes('}')) return object;
    do {
      this.next();
      const name = this.string();
      this.next();
      if (name === null || !this.take(':')) return null;
      const value = this.value(depth + 1);
      if (!value) return null;
      object.members.set(name, value);
      this.next();
    } while (this.take(','));
    return this.closes('}') ? object : null;
  }

  private list(depth: i32): Json | null {
    const list = new Json(Kind.List);
    if (this.closes(']')) return list;
    do {
      if (!this.value(depth + 1)) return null;
      this.next();
    } while (this.take(','));
    return this.closes(']') ? list : null;
  }

  private closes(end: string): bool {
    this.next();
    return this.take(end);
  }

  private string(): string | null {
    if (!this.take('"')) return null;
    let text = '';
    let start = this.at;
    while (this.peek() != CharCode.QUOTE) {
      const code = this.peek();
      if (code < 0x20) return null;
      this.at++;
      if (code != CharCode.BACKSLASH) continue;
      text += this.text.substring(start, this.at - 1);
      const escaped = this.escape();
      if (escaped < 0) return null;
      text += String.fromCharCode(escaped);
      start = this.at;
    }
    return text + this.text.substring(start, this.at++);
  }

  /** What is meant behind a backslash; negative if nothing is. */
  private escape(): i32 {
    if (this.take('u')) {
      const digits = this.text.substr(this.at, 4);
      this.at += 4;
      for (let i = 0; i < 4; i++) {
        if (i >= digits.length || !'0123456789abcdefABCDEF'.includes(digits.charAt(i))) return -1;
      }
      return <i32>parseInt(digits, 16);
    }
    const name = '"\\/bfnrt'.indexOf(this.text.charAt(this.at++));
    return name < 0 ? -1 : '"\\/\b\f\n\r\t'.charCodeAt(name);
  }

  private number(): Json | null {
    const start = this.at;
    this.take('-');
    if (!this.take('0') && !this.digits()) return null;
    if (this.take('.') && !this.digits()) return null;
    if (this.take('e') || this.take('E')) {
      if (!this.take('+')) this.take('-');
      if (!this.digits()) return null;
    }
    return new Json(Kind.Number, this.text.substring(start, this.at));
  }

  /** How many there are. */
  private digits(): i32 {
    const start = this.at;
    while (this.peek() >= 0x30 && this.peek() <= 0x39) this.at++;
    return this.at - start;
  }
}

const LITERALS: StaticArray<string> = ['true', 'false', 'null'];
