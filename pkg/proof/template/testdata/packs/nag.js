// Prints what cdk-nag's packs AwsSolutions and Serverless find in translated templates: lines of
// file, rule and resource, separated by tabs.
const { App, Stack } = require('aws-cdk-lib');
const { CfnInclude } = require('aws-cdk-lib/cloudformation-include');
const { AwsSolutionsChecks, ServerlessChecks } = require('cdk-nag');

for (const file of process.argv.slice(2)) {
  const stack = new Stack(new App(), 'stack');
  new CfnInclude(stack, 'template', { templateFile: file });
  for (const pack of [new AwsSolutionsChecks(), new ServerlessChecks()])
    for (const { ruleName, description, violatingResources } of pack.validateScope(stack).violations)
      for (const { constructPath } of violatingResources) {
        const failed = description.startsWith('Rule threw an error') ? ' (the rule failed)' : '';
        console.log([file, ruleName + failed, constructPath.split('/').pop()].join('\t'));
      }
}
