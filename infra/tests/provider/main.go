// A provider `aws` for Terraform and OpenTofu that knows the real one's schema and does nothing: what is planned with it is
// well-formed, and nothing is created. For tests only.
//
// What only AWS could say is unknown until it is applied, as with the real one. With STREAMALERT_PLAN=known it is made up while
// planning already, so that a plan as JSON has every policy in full.
package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

//go:embed schema.json
var document []byte

const account = "000000000000"

type attribute struct {
	Type     json.RawMessage `json:"type"`
	Required bool            `json:"required"`
	Optional bool            `json:"optional"`
	Computed bool            `json:"computed"`
}

type block struct {
	Attributes map[string]attribute   `json:"attributes"`
	Blocks     map[string]nestedBlock `json:"blocks"`
}

type nestedBlock struct {
	Nesting string `json:"nesting"`
	Min     int64  `json:"min"`
	Max     int64  `json:"max"`
	Block   block  `json:"block"`
}

type provider struct {
	Provider  block            `json:"provider"`
	Resources map[string]block `json:"resources"`
	Data      map[string]block `json:"data"`

	// Whatever else a provider may be asked is not asked of this one.
	tfprotov5.ProviderServer
	schemas, data map[string]*tfprotov5.Schema
	settings      *tfprotov5.Schema
	region        string
	known         bool
}

func main() {
	p := &provider{region: "us-east-1", known: os.Getenv("STREAMALERT_PLAN") == "known"}
	if err := json.Unmarshal(document, p); err != nil {
		panic(err)
	}
	p.schemas, p.data = schemas(p.Resources), schemas(p.Data)
	p.settings = &tfprotov5.Schema{Block: schemaOf(p.Provider)}
	serve := func() tfprotov5.ProviderServer { return p }
	if err := tf5server.Serve("registry.terraform.io/hashicorp/aws", serve); err != nil {
		panic(err)
	}
}

func schemas(blocks map[string]block) map[string]*tfprotov5.Schema {
	all := map[string]*tfprotov5.Schema{}
	for name, block := range blocks {
		all[name] = &tfprotov5.Schema{Block: schemaOf(block)}
	}
	return all
}

func schemaOf(b block) *tfprotov5.SchemaBlock {
	schema := &tfprotov5.SchemaBlock{}
	for name, a := range b.Attributes {
		kind, err := tftypes.ParseJSONType(a.Type) // Nothing else reads a type from JSON.
		if err != nil {
			panic(fmt.Errorf("%s: %w", name, err))
		}
		schema.Attributes = append(schema.Attributes, &tfprotov5.SchemaAttribute{
			Name: name, Type: kind, Required: a.Required, Optional: a.Optional, Computed: a.Computed,
		})
	}
	for name, n := range b.Blocks {
		nested := &tfprotov5.SchemaNestedBlock{TypeName: name, Block: schemaOf(n.Block), MinItems: n.Min, MaxItems: n.Max}
		switch n.Nesting {
		case "single":
			nested.Nesting, nested.MinItems, nested.MaxItems = tfprotov5.SchemaNestedBlockNestingModeSingle, 0, 0
		case "set":
			nested.Nesting = tfprotov5.SchemaNestedBlockNestingModeSet
		default:
			nested.Nesting = tfprotov5.SchemaNestedBlockNestingModeList
		}
		schema.BlockTypes = append(schema.BlockTypes, nested)
	}
	return schema
}

// What AWS would say of a resource.
func (p *provider) madeUp(resource string, name string, values map[string]tftypes.Value) tftypes.Value {
	text := func(key string) string {
		var text string
		if value, ok := values[key]; ok && value.IsKnown() && !value.IsNull() && value.Type().Is(tftypes.String) {
			_ = value.As(&text)
		}
		return text
	}
	called := ""
	for _, key := range []string{"name", "bucket", "function_name", "family", "name_prefix", "alarm_name", "description"} {
		if called = text(key); called != "" {
			break
		}
	}
	digest := sha256.Sum256([]byte(resource + "\x00" + called + text("vpc_id") + text("cidr_block") + text("service_name")))
	hex := fmt.Sprintf("%x", digest)
	arn := func(service, rest string) string {
		return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, p.region, account, rest)
	}
	arns := map[string]string{
		"aws_kms_key":                          arn("kms", "key/"+hex[:8]+"-"+hex[8:12]+"-"+hex[12:16]+"-"+hex[16:20]+"-"+hex[20:32]),
		"aws_sqs_queue":                        arn("sqs", called),
		"aws_sns_topic":                        arn("sns", called),
		"aws_s3_bucket":                        "arn:aws:s3:::" + called,
		"aws_iam_role":                         fmt.Sprintf("arn:aws:iam::%s:role%s%s", account, orSlash(text("path")), called),
		"aws_lambda_function":                  arn("lambda", "function:"+called),
		"aws_lambda_alias":                     arn("lambda", "function:"+text("function_name")+":"+called),
		"aws_dynamodb_table":                   arn("dynamodb", "table/"+called),
		"aws_kinesis_stream":                   arn("kinesis", "stream/"+called),
		"aws_kinesis_firehose_delivery_stream": arn("firehose", "deliverystream/"+called),
		"aws_cloudwatch_log_group":             arn("logs", "log-group:"+called),
		"aws_cloudwatch_event_rule":            arn("events", "rule/"+called),
		"aws_cloudwatch_metric_alarm":          arn("cloudwatch", "alarm:"+called),
		"aws_athena_workgroup":                 arn("athena", "workgroup/"+called),
		"aws_cloudtrail":                       arn("cloudtrail", "trail/"+called),
	}
	own, ok := arns[resource]
	if !ok {
		own = arn(strings.SplitN(strings.TrimPrefix(resource, "aws_"), "_", 2)[0], called+hex[:8])
	}
	id := map[string]string{"aws_vpc": "vpc-", "aws_subnet": "subnet-", "aws_security_group": "sg-", "aws_route_table": "rtb-",
		"aws_internet_gateway": "igw-", "aws_nat_gateway": "nat-", "aws_eip": "eipalloc-"}[resource]
	switch name {
	case "arn":
		return tftypes.NewValue(tftypes.String, own)
	case "stream_arn":
		return tftypes.NewValue(tftypes.String, own+"/stream/2026-01-01T00:00:00.000")
	case "qualified_arn":
		return tftypes.NewValue(tftypes.String, own+":1")
	case "version":
		return tftypes.NewValue(tftypes.String, "1")
	case "region":
		return tftypes.NewValue(tftypes.String, p.region)
	case "key_id":
		return tftypes.NewValue(tftypes.String, own[strings.LastIndex(own, "/")+1:])
	case "url":
		return tftypes.NewValue(tftypes.String, fmt.Sprintf("https://sqs.%s.amazonaws.com/%s/%s", p.region, account, called))
	case "id":
		switch {
		case id != "":
			return tftypes.NewValue(tftypes.String, id+hex[:17])
		case resource == "aws_sqs_queue":
			return tftypes.NewValue(tftypes.String, fmt.Sprintf("https://sqs.%s.amazonaws.com/%s/%s", p.region, account, called))
		case resource == "aws_sns_topic":
			return tftypes.NewValue(tftypes.String, own)
		case called != "":
			return tftypes.NewValue(tftypes.String, called)
		}
	}
	return tftypes.NewValue(tftypes.String, resource+"-"+hex[:12])
}

func orSlash(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// Fills what is computed and not given: with what is made up, or as unknown.
func (p *provider) fill(resource string, values map[string]tftypes.Value, known bool) {
	for name, a := range p.Resources[resource].Attributes {
		value := values[name]
		if !a.Computed || value.IsKnown() && !value.IsNull() {
			continue
		}
		switch {
		case !known:
			values[name] = tftypes.NewValue(value.Type(), tftypes.UnknownValue)
		// What may be given and is not, but for what everything has.
		case a.Optional && name != "id" && name != "region":
			values[name] = tftypes.NewValue(value.Type(), nil)
		case value.Type().Is(tftypes.String):
			values[name] = p.madeUp(resource, name, values)
		default:
			values[name] = tftypes.NewValue(value.Type(), nil)
		}
	}
}

func (p *provider) GetMetadata(context.Context, *tfprotov5.GetMetadataRequest) (*tfprotov5.GetMetadataResponse, error) {
	answer := &tfprotov5.GetMetadataResponse{ServerCapabilities: &tfprotov5.ServerCapabilities{GetProviderSchemaOptional: true}}
	for name := range p.schemas {
		answer.Resources = append(answer.Resources, tfprotov5.ResourceMetadata{TypeName: name})
	}
	for name := range p.data {
		answer.DataSources = append(answer.DataSources, tfprotov5.DataSourceMetadata{TypeName: name})
	}
	return answer, nil
}

func (p *provider) GetProviderSchema(context.Context, *tfprotov5.GetProviderSchemaRequest) (*tfprotov5.GetProviderSchemaResponse, error) {
	return &tfprotov5.GetProviderSchemaResponse{
		Provider: p.settings, ResourceSchemas: p.schemas, DataSourceSchemas: p.data,
	}, nil
}

func (p *provider) GetResourceIdentitySchemas(context.Context, *tfprotov5.GetResourceIdentitySchemasRequest) (*tfprotov5.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov5.GetResourceIdentitySchemasResponse{}, nil
}

func (p *provider) PrepareProviderConfig(_ context.Context, r *tfprotov5.PrepareProviderConfigRequest) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: r.Config}, nil
}

func (p *provider) ConfigureProvider(_ context.Context, r *tfprotov5.ConfigureProviderRequest) (*tfprotov5.ConfigureProviderResponse, error) {
	config, err := r.Config.Unmarshal(p.settings.ValueType())
	if err != nil {
		return nil, err
	}
	values := map[string]tftypes.Value{}
	if err := config.As(&values); err != nil {
		return nil, err
	}
	if region := values["region"]; region.IsKnown() && !region.IsNull() {
		if err := region.As(&p.region); err != nil {
			return nil, err
		}
	}
	return &tfprotov5.ConfigureProviderResponse{}, nil
}

func (p *provider) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

func (p *provider) ValidateResourceTypeConfig(context.Context, *tfprotov5.ValidateResourceTypeConfigRequest) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	return &tfprotov5.ValidateResourceTypeConfigResponse{}, nil
}

func (p *provider) ValidateDataSourceConfig(context.Context, *tfprotov5.ValidateDataSourceConfigRequest) (*tfprotov5.ValidateDataSourceConfigResponse, error) {
	return &tfprotov5.ValidateDataSourceConfigResponse{}, nil
}

func (p *provider) UpgradeResourceState(_ context.Context, r *tfprotov5.UpgradeResourceStateRequest) (*tfprotov5.UpgradeResourceStateResponse, error) {
	kind := p.schemas[r.TypeName].ValueType()
	value, err := r.RawState.UnmarshalWithOpts(kind, tfprotov5.UnmarshalOpts{})
	if err != nil {
		return nil, err
	}
	state, err := tfprotov5.NewDynamicValue(kind, value)
	return &tfprotov5.UpgradeResourceStateResponse{UpgradedState: &state}, err
}

func (p *provider) ReadResource(_ context.Context, r *tfprotov5.ReadResourceRequest) (*tfprotov5.ReadResourceResponse, error) {
	return &tfprotov5.ReadResourceResponse{NewState: r.CurrentState, Private: r.Private}, nil
}

func (p *provider) ReadDataSource(_ context.Context, r *tfprotov5.ReadDataSourceRequest) (*tfprotov5.ReadDataSourceResponse, error) {
	kind := p.data[r.TypeName].ValueType()
	config, err := r.Config.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	values := map[string]tftypes.Value{}
	if err := config.As(&values); err != nil {
		return nil, err
	}
	said := map[string]string{
		"account_id": account, "region": p.region, "partition": "aws", "dns_suffix": "amazonaws.com", "name": p.region,
		"id": r.TypeName, "arn": "arn:aws:iam::" + account + ":user/operator", "user_id": "operator",
	}
	for name := range p.Data[r.TypeName].Attributes {
		if value := values[name]; value.IsNull() && value.Type().Is(tftypes.String) {
			values[name] = tftypes.NewValue(tftypes.String, said[name])
		}
	}
	state, err := tfprotov5.NewDynamicValue(kind, tftypes.NewValue(kind, values))
	return &tfprotov5.ReadDataSourceResponse{State: &state}, err
}

func (p *provider) PlanResourceChange(_ context.Context, r *tfprotov5.PlanResourceChangeRequest) (*tfprotov5.PlanResourceChangeResponse, error) {
	kind := p.schemas[r.TypeName].ValueType()
	proposed, err := r.ProposedNewState.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	if proposed.IsNull() {
		return &tfprotov5.PlanResourceChangeResponse{PlannedState: r.ProposedNewState}, nil
	}
	values := map[string]tftypes.Value{}
	if err := proposed.As(&values); err != nil {
		return nil, err
	}
	prior, err := r.PriorState.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	// What is there already keeps what was said of it.
	if prior.IsNull() {
		p.fill(r.TypeName, values, p.known)
	}
	state, err := tfprotov5.NewDynamicValue(kind, tftypes.NewValue(kind, values))
	return &tfprotov5.PlanResourceChangeResponse{PlannedState: &state}, err
}

func (p *provider) ApplyResourceChange(_ context.Context, r *tfprotov5.ApplyResourceChangeRequest) (*tfprotov5.ApplyResourceChangeResponse, error) {
	kind := p.schemas[r.TypeName].ValueType()
	planned, err := r.PlannedState.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	if planned.IsNull() {
		return &tfprotov5.ApplyResourceChangeResponse{NewState: r.PlannedState}, nil
	}
	values := map[string]tftypes.Value{}
	if err := planned.As(&values); err != nil {
		return nil, err
	}
	p.fill(r.TypeName, values, true)
	state, err := tfprotov5.NewDynamicValue(kind, tftypes.NewValue(kind, values))
	return &tfprotov5.ApplyResourceChangeResponse{NewState: &state}, err
}

func (p *provider) ImportResourceState(context.Context, *tfprotov5.ImportResourceStateRequest) (*tfprotov5.ImportResourceStateResponse, error) {
	return nil, fmt.Errorf("this provider creates nothing, so there is nothing to import")
}
