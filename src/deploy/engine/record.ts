/** `deployment.json`: what is in service, from where, and who answered for it. Secrets were taken out before. */
import type { DeploymentRow } from '../../store/deployments.ts';

/** JSON text with a newline at its end. */
export function deploymentRecord(
  row: Omit<DeploymentRow, 'state' | 'created' | 'previous'> & { readonly previous: number | undefined },
): string {
  const { version, reference, image, kind, content, tree, platform, provenance, parameters, previous } = row;
  const record = {
    tool: 'rootcellar',
    ...{ target: row.target, version, reference, image, kind, content, tree, platform },
    ...{ source: provenance.source, verified: provenance.verified, signer: provenance.signer },
    ...{ sourceDigest: provenance.sourceDigest, parameters, previous },
    deployed: new Date().toISOString(),
  };
  return `${JSON.stringify(record, undefined, 2)}\n`;
}
