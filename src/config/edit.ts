/**
 * Adding images to a cellar.yaml that people write. What stands there stays as it is, byte for byte, wherever the
 * new lines can simply be put below the last image; a file in another form is written anew, comments included.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  Document,
  isCollection,
  isMap,
  isPair,
  LineCounter,
  parseDocument,
  type Pair,
  type YAMLMap,
} from 'yaml';

/** An image as it is to be written: the keys of the configuration, in their order. */
export interface NewImage {
  readonly name: string;
  readonly settings: Readonly<Record<string, Setting>>;
}

export type Setting = string | number | boolean | readonly string[] | Readonly<Record<string, string>>;

/** `text` with these images in it. @param text a configuration that was read without complaint, or nothing */
export function addImages(text: string, images: readonly NewImage[]): string {
  const wanted = rewritten(text, images);
  const appended = appendedTo(text, images);
  const isSame = appended !== undefined && isDeepStrictEqual(parse(appended).toJS(), wanted.toJS());
  const after = isSame ? appended : wanted.toString(layout);
  // Editors that find both ends of lines in one file take one of them for part of the text.
  return /^[^\n]*\r\n/.test(text) ? after.replace(/\r?\n/g, '\r\n') : after;
}

/** The lines of an `images` section with nothing but these. */
export function imageLines(images: readonly NewImage[]): string {
  return new Document({ images: objectOf(images) }, { aliasDuplicateObjects: false }).toString(layout);
}

/** Who read the text before has seen to it that no name stands there twice; looking again takes minutes in long ones. */
function parse(text: string, lineCounter?: LineCounter): Document.Parsed {
  return parseDocument(text, { uniqueKeys: false, ...(lineCounter === undefined ? {} : { lineCounter }) });
}

const layout = { lineWidth: 0, indent: 2 } as const;

function rewritten(text: string, images: readonly NewImage[]): Document {
  const document: Document = parse(text);
  document.contents ??= document.createNode({});
  const existing = document.get('images', true);
  if (!isMap(existing)) {
    document.set('images', document.createNode(objectOf(images)));
    return document;
  }
  if (existing.items.length === 0) existing.flow = false;
  // Not by add(), which compares with every entry that is there.
  for (const { name, settings } of images)
    existing.items.push(document.createPair(name, settings) as Pair<unknown, unknown>);
  return document;
}

/** Undefined where new lines have no place of their own. */
function appendedTo(text: string, images: readonly NewImage[]): string | undefined {
  const lines = new LineCounter();
  const { contents } = parse(text, lines);
  const section = imageLines(images);
  if (contents === null) return `${whole(text)}${section}`;
  if (!isMap(contents) || contents.flow === true) return undefined;
  const existing = contents.get('images', true);
  if (existing === undefined) return `${whole(text)}\n${section}`;
  if (!isMap(existing) || existing.flow === true) return undefined;
  const [first] = existing.items;
  const offset = (first?.key as { range?: [number] } | undefined)?.range?.[0];
  const end = endOf(existing as YAMLMap);
  if (offset === undefined || end === undefined) return undefined;
  const indent = ' '.repeat(lines.linePos(offset).col - 1);
  const below = section
    .split('\n')
    .slice(1)
    .map((line) => (line === '' ? line : `${indent}${line.slice(layout.indent)}`));
  const at = text[end - 1] === '\n' ? end : text.indexOf('\n', end) + 1 || text.length;
  return `${whole(text.slice(0, at))}${below.join('\n')}${text.slice(at)}`;
}

/** Where the last scalar ends: the range of a collection may hold the comments after it. */
function endOf(node: unknown): number | undefined {
  if (isCollection(node) && node.flow !== true && node.items.length > 0) {
    const last = node.items.at(-1);
    return isPair(last) ? (endOf(last.value) ?? endOf(last.key)) : endOf(last);
  }
  return (node as { range?: [number, number] } | null)?.range?.[1];
}

function whole(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

function objectOf(images: readonly NewImage[]): Record<string, NewImage['settings']> {
  return Object.fromEntries(images.map(({ name, settings }) => [name, settings]));
}
