/**
 * What `--set` may give: a variable that the recipe declares or uses. Another name would have no effect but in the
 * environment of commands, so it is a mistake that would go unnoticed in an image.
 */
import { convert, nodeOf, type ConfigFile } from '../config/document.ts';
import { configError } from '../config/place.ts';
import { variableName } from '../config/variables.ts';
import { nearest } from '../core/nearest.ts';

/** Values stay out of the message; they may be secrets. @throws E_CONFIG */
export function refuseUnknownSettings(
  recipe: ConfigFile,
  declared: readonly string[],
  settings: readonly string[],
): void {
  if (settings.length === 0) return;
  const place = recipe.placeOf(nodeOf(recipe, 'variables'));
  const known = [...new Set([...declared, ...usedIn(recipe)])];
  for (const name of settings) {
    if (known.includes(name)) continue;
    if (!variableName.test(name)) throw configError({ place, problem: `'${name}' cannot be a variable` });
    const near = nearest(name, known);
    const list = declared.length === 0 ? 'it declares none' : `it declares ${declared.join(', ')}`;
    throw configError({
      place,
      problem: `the recipe has no variable '${name}', which --set gives`,
      hint: near === undefined ? `${list}; define it under variables:` : `did you mean '${near}'?`,
    });
  }
}

/** As the recipe writes it, or as a shell does: commands and the scripts in the recipe find it in their environment. */
const uses = /\$\{([A-Za-z_][A-Za-z0-9_-]*)\}|\$\{?#?([A-Za-z_][A-Za-z0-9_]*)/g;

function usedIn(recipe: ConfigFile): string[] {
  const names: string[] = [];
  convert(recipe, recipe.document.contents, (text) => {
    for (const [, filled, expanded] of text.matchAll(uses)) names.push(filled ?? expanded!);
    return text;
  });
  return names;
}
