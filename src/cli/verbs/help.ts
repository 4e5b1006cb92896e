/** `cellar help`, for a verb, a topic, or all. */
import { nearest } from '../../core/nearest.ts';
import { overview, verbHelp } from '../help.ts';
import type { Outcome } from '../outcome.ts';
import { plain, type Style } from '../render/style.ts';
import { defineVerb, optional } from '../spec.ts';
import { topics } from '../topics.ts';
import { usage } from '../usage.ts';
import { findVerb, visibleVerbs } from '../verb-index.ts';

export const verb = defineVerb({
  description: [],
  args: [optional('TOPIC', 'A verb, or names, or exit-codes')],
  options: {},
  examples: [
    { command: 'cellar help checkout', does: 'what checkout does, with examples' },
    { command: 'cellar help names', does: 'how images, sources and targets are named' },
  ],
  async run({ args: [topic] }) {
    return await helpOn(topic);
  },
});

/** @throws E_USAGE for what is neither verb nor topic */
export async function helpOn(topic: string | undefined): Promise<Outcome> {
  const lines = await helpLines(topic);
  return { result: { topic: topic ?? 'cellar', text: lines(plain).join('\n') }, lines };
}

async function helpLines(name: string | undefined): Promise<(style: Style) => string[]> {
  if (name === undefined) return overview;
  const topic = topics.find((each) => each.name === name);
  if (topic !== undefined) return () => topic.lines();
  const entry = findVerb(name);
  if (entry === undefined) throw unknownTopic(name);
  const { verb: explained } = await entry.load();
  return (style) => verbHelp(entry, explained, style);
}

function unknownTopic(name: string): Error {
  const known = [...visibleVerbs, ...topics].map((each) => each.name);
  const near = nearest(name, known);
  return usage(
    `there is no help on '${name}'`,
    near === undefined ? "'cellar help' lists what there is" : `did you mean '${near}'?`,
  );
}
