package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// swap prepares that a stack's table is taken out of the stack, where it stays, and the restored one
// comes in under the same logical name (AWS CloudFormation: "Resolve drift with an import
// operation"). An import may change nothing but what it imports, so there are two templates: one
// without a table, in which all else names the restored one, and the same with a table.
func (r *restore) swap(ctx context.Context) error {
	if g := r.target.parameters["GradualDeploys"]; g != "" && g != "no" {
		return fmt.Errorf("the stack has GradualDeploys=%s, so old processes would go on with the old table: deploy it with GradualDeploys=no first", g)
	}
	out, err := cloudformation.NewFromConfig(r.target.cfg).GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &r.target.name, TemplateStage: cfn.TemplateStageProcessed})
	if err != nil {
		return fmt.Errorf("the template of the stack %s: %w", r.target.name, why(err))
	}
	now, err := r.describe(ctx, r.dest)
	if err != nil {
		return fmt.Errorf("the table %s: %w", r.dest, why(err))
	}
	if !r.apply {
		r.printf("The stream of %s would be turned on, and the templates written to %s: APPLY=1 does it.\n", r.dest, r.folder())
		return nil
	}
	if now.LatestStreamArn == nil || now.StreamSpecification == nil {
		if _, err := r.client.UpdateTable(ctx, &dynamodb.UpdateTableInput{TableName: &r.dest, StreamSpecification: &types.StreamSpecification{
			StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage,
		}}); err != nil {
			return fmt.Errorf("the stream of %s: %w", r.dest, why(err))
		}
		if err := r.active(ctx, "Waiting for the stream"); err != nil {
			return err
		}
		if now, err = r.describe(ctx, r.dest); err != nil {
			return why(err)
		}
	}
	without, with, err := swapped(aws.ToString(out.TemplateBody), map[string]string{
		"": r.dest, "Arn": aws.ToString(now.TableArn), "StreamArn": aws.ToString(now.LatestStreamArn),
	})
	if err != nil {
		return fmt.Errorf("the template of the stack %s: %w", r.target.name, err)
	}
	parameters := []map[string]any{}
	for name := range r.target.parameters {
		parameters = append(parameters, map[string]any{"ParameterKey": name, "UsePreviousValue": true})
	}
	imported := plainJSON(map[string]any{
		"StackName": r.target.name, "ChangeSetName": "restored-table", "ChangeSetType": "IMPORT", "Capabilities": []string{"CAPABILITY_IAM"}, "Parameters": parameters,
		"ResourcesToImport": []map[string]any{{
			"ResourceType": "AWS::DynamoDB::Table", "LogicalResourceId": tableID, "ResourceIdentifier": map[string]string{"TableName": r.dest},
		}},
	}, "  ")
	if err := os.MkdirAll(r.folder(), 0o700); err != nil {
		return err
	}
	for name, text := range map[string][]byte{"without-table.json": without, "with-table.json": with, "import.json": imported} {
		if err := os.WriteFile(filepath.Join(r.folder(), name), text, 0o600); err != nil {
			return err
		}
	}
	r.printf("The stream of %s is on. The stack %s is as it was. Next, step by step (pkg/ops/README.md, Restore the table):\n\n", r.dest, r.target.name)
	r.printf(swapSteps, r.folder(), r.target.name, r.source, r.dest, r.target.cfg.Region)
	return nil
}

func (r *restore) folder() string { return filepath.Join(r.state, "restore-"+r.target.name) }

// swapSteps are the commands of the swap, for a folder, a stack, the old and the restored table, and
// a region.
const swapSteps = `bucket=$(aws cloudformation describe-stack-resource --stack-name aws-sam-cli-managed-default --logical-resource-id SamCliSourceBucket --query StackResourceDetail.PhysicalResourceId --output text)
aws cloudformation deploy --stack-name %[2]s --template-file %[1]s/without-table.json --s3-bucket $bucket --capabilities CAPABILITY_IAM
make restore STACK=%[2]s DO=merge FROM=%[3]s INTO=%[4]s APPLY=1
aws s3 cp %[1]s/with-table.json s3://$bucket/restore/%[4]s.json
aws cloudformation create-change-set --cli-input-json file://%[1]s/import.json --template-url https://$bucket.s3.%[5]s.amazonaws.com/restore/%[4]s.json
aws cloudformation wait change-set-create-complete --stack-name %[2]s --change-set-name restored-table
aws cloudformation execute-change-set --stack-name %[2]s --change-set-name restored-table
aws cloudformation wait stack-import-complete --stack-name %[2]s
`

// swapped returns two forms of a processed template: without the table, where everything names a
// different one by the values of its attributes (Ref's is under ""), and the same with the table.
// In both, no name is given to the table: a name in the template would have to stay there.
func swapped(text string, values map[string]string) (without, with []byte, err error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var template map[string]any
	if err := decoder.Decode(&template); err != nil {
		return nil, nil, err
	}
	resources, _ := template["Resources"].(map[string]any)
	own, _ := resources[tableID].(map[string]any)
	if own == nil {
		return nil, nil, errors.New("it has no " + tableID)
	}
	if p, _ := own["DeletionPolicy"].(string); !strings.HasPrefix(p, "Retain") {
		return nil, nil, errors.New("its table is not retained: deploy this version first")
	}
	delete(resources, tableID)
	template, _ = named(template, values).(map[string]any)
	if without, err = json.Marshal(template); err != nil {
		return nil, nil, err
	}
	for _, mention := range []string{`"` + tableID + `"`, `"` + tableID + `.`, "${" + tableID} {
		if bytes.Contains(without, []byte(mention)) {
			return nil, nil, fmt.Errorf("something else still refers to %s", tableID)
		}
	}
	own["DeletionPolicy"] = "Retain"
	template["Resources"].(map[string]any)[tableID] = own
	with, err = json.Marshal(template)
	return without, with, err
}

// named replaces every reference to the table by a value.
func named(v any, values map[string]string) any {
	switch v := v.(type) {
	case []any:
		for n := range v {
			v[n] = named(v[n], values)
		}
	case string:
		for attribute, value := range values {
			v = strings.ReplaceAll(v, strings.TrimSuffix("${"+tableID+"."+attribute, ".")+"}", value)
		}
		return v
	case map[string]any:
		if v["Ref"] == tableID {
			return values[""]
		}
		if get, is := v["Fn::GetAtt"].([]any); is && len(get) == 2 && get[0] == tableID {
			if value, known := values[fmt.Sprint(get[1])]; known {
				return value
			}
		}
		if v["DependsOn"] == tableID {
			delete(v, "DependsOn")
		}
		for name := range v {
			v[name] = named(v[name], values)
		}
	}
	return v
}
