output "kubectl_command" {
  description = "Command that makes kubectl speak to the cluster."
  value       = module.sie_gke.kubectl_command
}

output "workload_identity_annotation" {
  description = "Annotation of the workers' service account, as key=email."
  value       = module.sie_gke.workload_identity_annotation
}

output "model_cache_helm_args" {
  description = "Arguments of helm that make workers use the bucket."
  value       = module.sie_gke.model_cache_helm_args
}

output "artifact_registry_url" {
  description = "What the chart's image.registry wants, for images of one's own."
  value       = module.sie_gke.artifact_registry_url
}
